# attack: write outside a tensor by changing the indices of a sparse one
# class: interpreter walk
# wall: separate_process

import torch


def attack(frame, frame_index, config):
    sparse = torch.eye(4).to_sparse()
    places = sparse.indices()
    places[0, 0] = 1 << 22
    dense = sparse.to_dense()
    return ("held: " if bool((dense == torch.eye(4)).all()) else "inside: wrote outside a tensor ") + str(
        dense.shape
    )
