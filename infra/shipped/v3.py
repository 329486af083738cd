"""Video codec, written by the offline search.

* 4:2:0 planes in BT.709
* blocks predicted from their neighbours in 25 modes
* cosine transforms of 16 x 16, 8 x 8 and 4 x 4
* binary arithmetic coding with mixed contexts that begin trained
* levels chosen by rate and distortion
* motion compensation of 32 x 32, 16 x 16 and 8 x 8 blocks in quarter samples with long filters
* motions inherited from neighbours, and blocks skipped
* motion and partition chosen by the cost of the residual's coefficients
* the last frame and the last finer one, or their mean
* overlapped motion compensation
* deblocking inside the prediction loop
* a trained, classified filter inside the prediction loop
"""

# genome 2: {"prediction": "motion", "intra": "many", "transform": "three", "contexts": "mixed", "beginnings": "trained", "mixing_shift": 16, "ending": "short", "quantisation": "rate-distortion", "reconstruction_bias": 2, "chroma_step": 0.6, "enlarging": "matched", "partition": "three", "decision": "transform", "interpolation": "long", "chroma_taps": 4, "references": 2, "older": "finer", "overlap": true, "vector_weight": 0.5, "first_step": 0.65, "cascade": 8, "cascade_step": 1.5, "bit_worth": "graded", "deblocking": 0.25, "loop_filter": "trained"}

import base64
import lzma
import math
import struct
import zlib

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# ---- settings ------------------------------------------------------------------------------------

RATE_WEIGHT = 0.09  # squared quantiser steps that a bit is worth
CHROMA_STEP = 0.6  # times the luma step
RECONSTRUCTION_BIAS = 2  # towards zero, in 1/32 of a step
FIRST_STEP = 0.65  # the first frame's step relative to the others, which are predicted from it
CASCADE = 8  # every so many frames, one is finer
CASCADE_STEP = 1.5  # the step of the others, relative to it
FINER_WEIGHT, OTHER_WEIGHT = 0.8, 1.1  # times the rate weight; what a finer frame gains, the others inherit
VECTOR_WEIGHT = 0.5  # absolute difference that a bit of a vector is worth, in steps
DEBLOCKING = 0.25  # largest change of a sample beside an edge, in steps
MOST_SAMPLES = 600000  # luma samples; larger frames are coded as plain blocks, so that a call ends in time


# ---- colour --------------------------------------------------------------------------------------


def split_planes(frame, height, width):
    """Return luma, blue and red difference of an RGB frame, padded to a size.

    BT.709 with full range; the differences have half the size. Edges are repeated. All planes are int32, 0 to 255.
    """
    rgb = np.pad(
        frame.astype(np.float64), ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0)), mode="edge"
    )
    red, green, blue = rgb[:, :, 0], rgb[:, :, 1], rgb[:, :, 2]
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    planes = [luma]
    for difference in ((blue - luma) / 1.8556, (red - luma) / 1.5748):
        pairs = difference[0::2] + difference[1::2]
        planes.append(128 + (pairs[:, 0::2] + pairs[:, 1::2]) / 4)
    return [np.rint(plane).clip(0, 255).astype(np.int32) for plane in planes]


SHARPENING = 0.15  # undoes the blur of (1, 6, 1) / 8 that enlarging and averaging make


def enlarge(plane):
    """Return a chroma plane at twice its size, in linear steps between its samples.

    The samples are sharpened first, because the mean of four new ones would otherwise be a blurred old one.
    """
    for _ in (0, 1):  # rows, then columns
        padded = np.pad(plane, ((1, 1), (0, 0)), mode="edge")
        plane = plane + SHARPENING * (2 * plane - padded[:-2] - padded[2:])
        padded = np.pad(plane, ((1, 1), (0, 0)), mode="edge")
        doubled = np.empty((2 * plane.shape[0], plane.shape[1]))
        doubled[0::2] = 0.75 * plane + 0.25 * padded[:-2]
        doubled[1::2] = 0.75 * plane + 0.25 * padded[2:]
        plane = doubled.T
    return plane


def join_planes(planes, height, width):
    """Return the RGB frame (height, width, 3) uint8 of three planes."""
    luma = planes[0].astype(np.float64)
    blue_difference = enlarge(planes[1] - 128.0)
    red_difference = enlarge(planes[2] - 128.0)
    red = luma + 1.5748 * red_difference
    blue = luma + 1.8556 * blue_difference
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    rgb = np.stack([red, green, blue], axis=2)[:height, :width]
    return np.rint(rgb).clip(0, 255).astype(np.uint8)


# ---- transform and quantisation ------------------------------------------------------------------
#
# The cosines are rounded to integers, so that every sum is exact: encoder and decoder agree on any processor.

SCALE = 1024
SIZES = (4, 8, 16)


def cosine_matrix(size):
    """Return the orthonormal DCT-II matrix times SCALE, rounded to integers; row k is frequency k."""
    rows = []
    for frequency in range(size):
        norm = math.sqrt((1 if frequency == 0 else 2) / size)
        angles = [(2 * n + 1) * frequency * math.pi / (2 * size) for n in range(size)]
        rows.append([round(SCALE * norm * math.cos(angle)) for angle in angles])
    return np.array(rows, dtype=np.float64)


COSINES = {size: cosine_matrix(size) for size in SIZES}
KRONECKER = {size: np.kron(c, c).T.astype(np.float32) / (SCALE * SCALE) for size, c in COSINES.items()}


def forward(blocks):
    """Return the exact DCT of integer blocks (n, size, size)."""
    cosines = COSINES[blocks.shape[-1]]
    return cosines @ blocks.astype(np.float64) @ cosines.T / (SCALE * SCALE)


def forward_fast(blocks):
    """Return the DCT of blocks (n, size, size) in single precision; for the encoder alone."""
    size = blocks.shape[-1]
    return (blocks.reshape(-1, size * size).astype(np.float32) @ KRONECKER[size]).reshape(-1, size, size)


def inverse(coefficients):
    """Return the samples of integer coefficients (n, size, size), rounded to integers."""
    cosines = COSINES[coefficients.shape[-1]]
    samples = cosines.T @ coefficients.astype(np.float64) @ cosines
    return np.floor(samples / (SCALE * SCALE) + 0.5).astype(np.int32)


def quantiser_step(config, frame_index):
    """Return the luma step of a frame in sixteenths of a sample: it halves every 22 points of quality."""
    quality = min(100, max(0, int(config.get("quality", 50))))
    step = 2.0 ** (6.85 - quality / 22)
    if frame_index == 0:
        step *= FIRST_STEP
    elif frame_index % CASCADE != 0:
        step *= CASCADE_STEP
    return max(8, round(16 * step))


def chroma_step(step):
    """Return the chroma step for a luma step."""
    return max(8, round(CHROMA_STEP * step))


def dequantise(levels, step):
    """Return the integer coefficients that levels stand for."""
    magnitudes = np.maximum(32 * np.abs(levels) - RECONSTRUCTION_BIAS, 0)
    return np.rint(np.sign(levels) * magnitudes.astype(np.float64) * step / 512)


def split_blocks(plane, size):
    """Return the blocks of a plane in raster order, (n, size, size)."""
    height, width = plane.shape
    return plane.reshape(height // size, size, width // size, size).swapaxes(1, 2).reshape(-1, size, size)


def join_blocks(blocks, height, width):
    """Return the plane that blocks in raster order make."""
    size = blocks.shape[-1]
    return blocks.reshape(height // size, width // size, size, size).swapaxes(1, 2).reshape(height, width)


def quarters_of(blocks):
    """Return the quarters of blocks (n, 2s, 2s), as (4n, s, s)."""
    size = blocks.shape[-1] // 2
    return blocks.reshape(-1, 2, size, 2, size).swapaxes(2, 3).reshape(-1, size, size)


def whole_of(quarters):
    """Return the blocks whose quarters are given: the inverse of `quarters_of`."""
    size = quarters.shape[-1]
    return quarters.reshape(-1, 2, 2, size, size).swapaxes(2, 3).reshape(-1, 2 * size, 2 * size)


# ---- contexts ------------------------------------------------------------------------------------
#
# A context is an adaptive probability. Those of one symbol lie beside each other; the names below are where they
# start. "Kind" counts the eight kinds of block: twice its size (0 to 2, or 3 for chroma), plus 1 if intra.

# flags of blocks: three contexts of 32 values for each
IS_SKIPPED, IS_BIG, IS_INTRA, IS_SPLIT, IS_INHERITED, IS_EMPTY, IS_LARGE, IS_CODED, IS_SMALL = range(0, 864, 96)
# numbers of motion and of intra modes
CHOICE, MODE, SAME_MODE, OTHER_MODE, VECTOR = 880, 920, 940, 960, 1040
FILTER_STRENGTH = 2040
# place of the last level, by kind and energy; by kind and texture; by kind and the neighbours' counts
LAST, LAST_BY_TEXTURE, LAST_BY_COUNTS, LARGE_LEVEL = 2048, 4096, 5120, 3600
# whether a level is significant
SIGNIFICANT_BY_BAND = 6400  # kind 8, band 12, crowd 8
SIGNIFICANT_BY_PLACE = SIGNIFICANT_BY_BAND + 8 * 12 * 8  # kind 8, place 64, crowd 4
SIGNIFICANT_BY_GAP = SIGNIFICANT_BY_PLACE + 8 * 64 * 4  # kind 8, energy 4, crowd 8, gap 8
SIGNIFICANT_BY_HINT = SIGNIFICANT_BY_GAP + 8 * 4 * 8 * 8  # kind 8, hint 6, band 12, crowd 4
SIGNIFICANT_BY_COUNT = SIGNIFICANT_BY_HINT + 8 * 6 * 12 * 4  # kind 8, levels so far 8, band 12, neighbours 9
SIGNIFICANT_BY_HINT_PLACE = SIGNIFICANT_BY_COUNT + 8 * 8 * 12 * 9  # kind 8, hint 6, place 64
# whether the magnitude is larger still; "plane" is 0 or 1 for luma, 2 or 3 for chroma, odd if intra
LARGER_BY_CROWD = SIGNIFICANT_BY_HINT_PLACE + 8 * 6 * 64  # plane 4, crowd 8, magnitude 16
LARGER_BY_PLACE = LARGER_BY_CROWD + 4 * 8 * 16  # plane 4, place 16, magnitude 16
LARGER_BY_BAND = LARGER_BY_PLACE + 4 * 16 * 16  # plane 4, energy 4, band 12, magnitude 16
LARGER_BY_HINT = LARGER_BY_BAND + 4 * 4 * 12 * 16  # plane 4, hint 6, band 12, magnitude 16
CONTEXTS = LARGER_BY_HINT + 4 * 6 * 12 * 16

# sets of mixing weights: flags, significance by kind and band, magnitudes by plane and magnitude
MIX_FLAGS, MIX_LAST, MIX_SIGNIFICANT, MIX_LARGER = 0, 24, 64, 160
MIXED_INPUTS = [3] * 64 + [6] * 96 + [4] * 32
UNIT_WEIGHT = 65536


class Model:
    """Adaptive probabilities and mixing weights, which learn over the whole sequence.

    Attributes
    ----------
    zero : list of int
        Probability that a bit is zero, by context, in 1/65536.
    seen : list of int
        How many bits a context has seen, at most 255; it learns the slower, the more it has seen.
    weights : list of list of int
        Weights of the contexts that are mixed, in 1/65536.
    """

    def __init__(self):
        self.zero, self.seen, self.weights = trained_beginnings()


BEGINNINGS = (
    "{Wp48S^xk9=GL@E0stWa8~^|S5YJf5;RAmhMqL0P5JSQtGzb8&(k0IZX%4%lPDA4SLpjMuNZ>V6#?MEutfbyZp03{jb%fZgpN|fu"
    "2ElnkZBb`?160lFFu7OQ<~U;pcM0@=R5Z+I;lGBg^2ZYFF#6>>P;N&J!jex96NnNjq5EM*2j`F_q~^BZ^LjTdU^6lF3!G3c7XhN~"
    "gH4TJ`1p3vX*G?#)?{QV*eL6iB-ZlvLY@w$@PYuFv(leg8on&1^4i@0=6r9&fqU0>KtAq+!4J#?mF0Dl=vhd^rDd`Tg*>W6?00)H"
    "s@t*O0zQH@vG$vWA~7!~_UQsBnOYjV@!vye{t9Z;`tO`U|1lL-$bV{igu_!a=850VuIHJOQVD54Om7r|d|>>sL&UX4x;4_UPYL(8"
    "CCVLR-y*Q(`m9R#Nbqf@8Bc}ziQa0kFD!jG(6`u=7ii<|sKWxBL9H@-Np6faG<d%nJil;qodISWeB<cTSuhQXSk?3K>0IMyl|1+y"
    "oHo78WX6k_*yt{FkMyAfhom4o0-boBM$r66qobIOO-D=KMFxK}7blKCerHA4pNzm;ds&dIy5|Djvij#ECwhPUWwGuEdqv!cbF3JF"
    "22SQ*&_KI>8QFTw<9%a@ZVs{CX5aLB`tx%NIQCB46Rkyq;dL&NALK`^$K(5t!b0;($wXjvBh{dh8)(Lf7@TDXfil$BpS6ov`{<M+"
    "&mB&<V7cD1xz6$B8%mx)M1v!>b%~>rLG1V{(sCO_=k}DKIw!W+A^4-WL`>`)Fv!?ASrIgaM78Uyk{sHeZpIz@gLY|4Y7i`IwU6i$"
    "96)Mrh;d!w<VDm}sO#&UV{w&4$QsZ8J9}lAGQHPQYVY>dnNvY;5He<AjmBu(orr(sAH9e~W5Oo?*S)rsJozsonOcyW6t7>XDP=ph"
    "z+C)20#sd-bIgwr5W!7QQ7LNB#!o0jg>c>T`-FirQ+Cl|-5S<2j4&+ggMgYq*MNc0B6)!T_eU|@fWXE=^@hJRLqUUua0Si<7~n3q"
    "s|GZpZVq2K5rfEjYyGLE;Lu0%uzFIiH1?`zthMUx-~8nDZv+4$!y+uQYMA4`c8a21_}aRjXay8rbcsfsbGc)c5rI$#*~k2Ve6tO8"
    "FHj3WMf`j=soeW;J)64r$RF16t2Y#A(s9?@d#mlto0P?gmhX-O=hYJ0M2A!2u~w}iQ}Kb&&@HwQN-ZZ;hyH3YPx_v^W1gffRS^(Z"
    "%&|pPA)!}v50NOg^>rr2-K0A(5}-+&V@-F^g{8h`qJj#dUy+2u?V^Fuuv*)0dPC~ipFaI4!lT9kifnyIGsoj#5>Kw(k|?Rp2lNv#"
    "hMfkn<f(L>&UumXH+w|j&!q$%g-XL*o+}3|jk_R_2|swQL~WK7mNOU^m>8;K!~2N&dJ#?YA|B=m3<%bW4L6iOsr*1pZE7dhNr;F#"
    ";!0`;uT@M5*lM`l74~}xqtutOFHE!u*J=sEcBr^k2#|U-pK5;Roe^O7V&_l1GYkN1#J7JRW?%9NQniM+Q<-hBJ{0LiEeUO{=v+lw"
    "+1aR#4Xi`Z8yPNCC*!1R-Vep}xA>;gkGVt)iS<0)$CanV@tnCU)oN|0=S@OK&oEw4g33zHu9~T0L+U~UM1!E*M%6SuqaR)7ASu~+"
    "C=k5Deb8ue6bX=gCrSsP{iUBjKrTk6-et#uFC8ZIg2Wc22jbvQFF1_Jo$gi+DoM0$`O*qy%jhB&(R$BJGm6=m>i%PC1ez6loh=>w"
    ">&XG=L>Y)j82nyKjED;gs_eFIj^`2nJv=G?!kF!HOpB8FbGyW@wESVV&yK7%io64hZ}1y<Bw%id86+|@>Rc!sG>z;P&IYaIeRgRk"
    "?$RwN_R1_T(fCo^%&mq+-75b#u%m?h*NCHEPx)NRx-BmrG`VKNKg!7{v6`P~fwH@@mI+4aplBlf)&Z)*%jKk1`z#+JD~HPD%(gd)"
    "M9pp!W9YfXRHZ_)j8>i1OL9GN%|nwsLnEOfV7W()+7r>3OK(=RQZ=I@mKU_049ETbimQnbl+n2gRRi7wvIEoPmx#1Ky*@N2mbMp3"
    "zpO)yUijodRwW*4?ac#I9AN4;los1Qr77qpudfy4ppc*g-QL)gJ>?;_&ecFo!T%DS%!Dn5ZR@-udgixPy-Si?Yp?AbT?Qn$vTZ;~"
    "%~T_vO&YW&J7ulS0w^uImL@DSO!@OVnhOMc;Cr%ViC^M43FQ`>a7o%`ujc$urnZ&vm4oJSm;`Tizh9_h2IuW$aU17Y!(Ii@N&9>j"
    "7&oX@4qV?y*fBfT*6k+4`71Xlmablh6$KBzZH`irNktt*C)5Gbn;><;DXbA3%eUPTKfn3@yD;&!PTqPg_m}Apr>wIn4iy^Xcn^1H"
    "pZ5m1*<K_<wg3kwf`3EjDa@g3o%5(xszXQVF@U+Un@1RC=>a*8r0q4h>D*>(@btQ^rt`4El;@$m9Cx{-k%jj#|Ko^1tB`3kF&4LB"
    "e8#93+))n%;`Yf+<~h$>Y)*}ai(SH6LamF}>x9EG7+$Q(9OOVLx*Tn%Ci>L(>u?b*nvXNPvvGb?t{dKyh|X-2rl?efh5w`^Eg&-{"
    "O?8P-6px7s0@x^cn2f`j9ge6+@{}xE4P6sN;4zIE!e*($pt>O{z&ij@c-H;tvk3C3xp=M+7xm{U6yL9l<5h0MWFCFziPtyw{dr+&"
    "Ph9e{Ue%tHmv|?W79*6SWm-q?j_{JHxBo!QKq%NbEB#E=P%HY2Eg;*TT}77HRH%{tRz^BFn-QNP7h^Jgj)FVymgQ_C>@un48xg|u"
    "Rj)C>W;pXOBFgfHRo>ToVNzkA*$MuVCW#f%a)5`SQ41-9z-yMtWMuXh^JIMi)@1w57I6<VxMyn+NrIMTA`ERmiNrkN6{V9;5KI&H"
    "8*tC>d^BPpM4a!cpmi$@rk=%I5d2KFf^?o9EF^>bVfshhm-<+us<YiAI%pq}gZoiD+XKAZeq*QSWKQ5Z?sZLoHB(%44E^JaK}+g4"
    "jA4Uy);yOdGUvC=bSCv`L-^n@xH_v418NUJP-;ogyw)byuWv*vHq(=p?hiUqS3(_|7v09tb8Y15b7VJ=s4R&EWg>vZ&Hk`$V83q&"
    "?1Mjb0<h?FzlH-!TIwm=Ph={!yE)F^mlzs=VN2ZLooYyZc7{_{2jHDhm*fwZWD~(|Gn&jN;{!~q7==t>P)?a0U+MavJo`;@Bi%|V"
    "u*?muwR0`$ENvnPe$4qc@O0o1bz`~;jS3Dq64(A?K;(v=MYzh6d(#|xhU8+|^I99y=+VHSUsO(S%uxsKMkq>s==XUW!jO<sv^m)x"
    "D0<^m*h#l|L#4}_Yc|7#Zil^7G`?VWFB)|&g_Ar8Y|us?%p(z=w!G_(8a_qqZgxXlXa>yf2S_j*f`{V|23L0_m`ju}Y5fbJTAp@W"
    "N8dE>E%@0P!~a_dcWXWZjd<*DUcpqE1j{~t>_9z2^@{=MRVnKKV=Nsz+$%L8om$+dJngk4*h!{l()c*I5-Fqy1vh9@#8}HWAc{>3"
    "r|#*PreyfBj+t+!rU;&eXTIGm5|~%R-0kea^Dcx<!C(zpwYL{;%_V_ebHLT2ydC_dgJdH_{BfAd4?Rs<%1)u#RfCb7Pc4lDHd3zG"
    "HXTK{gDg%jQ6rqc2xL8JWP1>Xfq3_Ku%YC1YORc7#KpOlS|B65j5{-1I#Ef~D0K0aZXb;71)DLey*=>u)@3=38D_##&Ts?L&nfBq"
    ">J&|XOy2yuX7sc`|L!Z#=9!cd1a1bJ{@A>hnL8HAxB`IiML48)UMS=r>xV;#Bs%d;!Gl`>6U)iCfUJYtliff9N-Vc^lqIVjZ~+b3"
    "d$<zDD1LpEV#_PCEpEkUrmhZQ*T^5R9;#e~kuB1wDuJ2PQJg1StODvR4V$<k&nmTz?pxbq_HzC>$7XKTr-sNHYwZPsc_%)Q!FCD1"
    "R#9y{`)5NgN7Ui~gT6Vmc1V}aT`_@^nh)|4NM@&^$tms;CEW_isg2%lIWPp&Wh%0k14ytM!^81)4-LijH<@v8ysU9bLM;VAk9($G"
    "1wwu1<~gh%gBfceIX+aL2_e{z%u3rx*9Z1!=9%XZbvR*|<iS2qVdu5PV~Er!lRIN0$^Q9)S_0sS=d>&YekR`ncG8{t3RR=|QS(B2"
    "@v2K%6H9;3W|zvJpCKMwt<tje76`HIjhLF((7z8g48HkxzhWnk{4xkD)^V-QsFvOexH?d;IaYYUU<(+tih6$nw@N%TeV2<AB?6Bh"
    "zdx~1M`pjCtNfmSp%ix%a~pb^%TSc5jLUhHKVeZ75WaLdgaB{(02Qm-K=SG-J>DG?R}Q=@hzV9rlIOvNt8KGeXy8^bN+>JYvOdO;"
    "&g_~#9Idbed_Pc0a13f@#U(_HuFNI1bm>qQ-N7NfAJN{psafiBBgxks{wZhn8D*^b245R8aIrY3Ew0zkn9g5nos6AHXv-XU(O%$v"
    "wAxKv%D5)3y;2_a{OhhL!8~!aX*PqDP`|wNwh5-x3RJVg?ae^WCRnJ^;+XYH=$|4;%v!c}9yZIGKZjhcY&F9S<01l*MUZ^Lu4m>J"
    "1tsPnAU>q((w|2gui7=5cemcGSC-U0nWbHdVnHX=b7LhoH5Im^h+QfQf1Mj`ayf8MI_2@%+HWee4_;76KVq?Jl$%D~m6z1{Y<|0i"
    "BxQ)iElxaf4K&2)7(Ih4rM8Tx2v^p&3gj@~IS{i%6(9knl6#Db<rVoNx~iy94DqXx{c57l0EzpOcmQnMxgg8u0|%PtU@Dd7dCM_f"
    "(U-Iv;NQ(`Ei9=&n?<G)VI^?UK&o8R%vgz%d_UsX>OQ(To{Q=keoHIyto}{qMt-;;l)@bml0+H!FcT{~`Ya~eTsX`W_zYfADhhg-"
    "cC<m|=}`xFA3tNv6hILnWwMV^t4@!lwp*tjuA*k{<=cR!LEZ784e|y*hZ0Qx+eB6+j3mpNP4;Q^MZt&HLZ~RG4~Z-(Y&SkA&x@cj"
    "M1E`~9~GdAYVnmh83vOt6Dt#c;CKMxZ`-il>py*i&gy-8l4Yd5Q-?oq^$VGA*9tYQ6ovaAh^wE93^IiWj(q3)2k<F46BY#3!9)ol"
    "_M6sx2iFCmjS%d^^0)*loP83WkLx?!lzg(J$3zlu^zi7xI;aG(DS`-fIqB7xOiuO(^7_#ZB7nV0>4#8aCj%1%ewP#)7JHT$6PV^n"
    "*rx7fkx0SMGh_BrT=tKft2dxuGE{f{U2K+m>1k=O1uIh7sSGgOMrB<8EW#V#=+n!*D&)5hJ_mvKDL~ml1p(Ced!gYX3*XL_%m5<L"
    "?X&}-AY)o~vf?!hZl%vQDbrT58t$r%k}B9rIur()7)>#6pEM&w7ETONyX*Nvw_Tm#bi5ejVxxh&tX&d!{@MF4EY~)sO@ZSTS4ED>"
    "6hC8)&}bYhT<AW6SHO@v^k+<PQalo}GE{>H7h~PoOFptV70n6<4CkKP<n+wQHm_l9_e#`=l$PM_z*I;D+D!`q$P5+HlS`mc)@>uz"
    "s-I4Al0Tsflvk2!+2q%Yd<1^zRlJ|oShG-dv4RoXLQrm}<7MwYtOselUGDO<c|M8d6-<>Wdf|zh%PSdKGPQ!>2pRSQOhbn<H^)|h"
    "S_nW-`A0uL5tYybouL<RmMByLxB+u8w=MtT8Rk%~(B8VNHb$!9BvfWe^SNXo6Y*2Ya<J@6{yJ*hTCkQ@ZYEX_={T5fXaWPH^~Adc"
    "*T15@w4@8B12%fN8!h5h`<613m#&znv6Q6_9&Mu^){1#vUEU0lVO=9ogOA?;MRuIS1|4@7a;Xp-b)oNHyv7SkLHQ!2^k@|D<WWoU"
    "$B;0ek<zB9n%-$XtyG+-6_FkcM|)P7Ta++C&<eOgB6)cOvJqy|4`<s0&cb?f&NoSf#%lCT=eilP#p|{PjGZK}#!~Of;q)OQ^p7J5"
    "OkbgV{%F?#Z{p+$O52sR;G)``*>G5M>B0Z;ROg#isscxOKXGCahoM{bi1~<YVst(ZtDVjWD7E2We@pJNfS#arM|(GcN?Gdv7YM)@"
    "RhnRCkrbgumheCmKFx<3iwXgIqmx>5WeCyp>HqH$ri#hrfUyl~DWPGH<eb2{@kysjeWc|@T6dJjeY>z~<8ofKEMdKmhYH+Oc!{>="
    "5hcGWQi`qk_zCn}MyuuUYueC21Rf7W&jWO%02@z4cq>ukI<v?e9%7kRu^2xDP*q|)-Kcd!g?j|pFA^zKuV?Jl%15vJc_RO0C2+g%"
    "R%B&3@|7UZ!b2rEDN9&;x};y>X5c%B%ed+Sc5kfrH~doYiMxxz0Db@yk~!>C=oNyg;P2m8NeW3W+MSG9g5JLuRCEWV=3QnjZLLdf"
    "k$>?2we|fp;agBb$LDR+v&AFW$)Ve|bk@Qj9DG_5iX#c$pxN^#tn6`fx@&!2iqZ@@++5rr@A!V^k;p6a4W3{d5d%y#DiAJBQK$ra"
    "_FI?cCR7&6BSL9bc5(+v#sN5JsL2bC)fSK%?YsSQy1<ySP$|HioD`E?qGufM)FS!dG(Y~exI8WEcvd;+1PE452fk<=y0&wA%z_jL"
    "5pov#vJ2UIix<a0CU*V0{anPcjXYd?dcj~|AXvF9bQL*CH6_-^H1qW?+;%Oi|Cw*ZZ8bOf)%WhP<yAM(S9U$h+AW6s+V@mP#5`p_"
    "JL>t`i%g8hV{JbzpvlfZf2Vjmht6>*BI(BN&z%5=--%x>wyk4;)B*Y77!Y^9-w%u<%?Rk*M(Z0D_@+28dqju%Y9qS(+xfxwZS-T~"
    "I_fl>^bl2JRlHlTtjGbg_fhz!K=7@wAG&ja08c(tVL9EgKvTz5U)w<HrL(Vk>RsX4s!%O{J{Rph7~kv~f+yK`N5gH)4jr1rK)5J="
    "gW&>Gt!;Rh?WKJB#0V^iF}_bDy}-=)R%opMc`L-*#c0?WTjWez14LouoA6(k15Mn-I_H&xTZ&KYn9)HZhxA^iC#4PhZRG^45$=Ds"
    "%Yo6ajzd?lntR?^f29$A+&bGy66b~5NXws+r$4(rHiq}CV9ph3qgf=AxphNaZ!kz_kdy+J-tiK1`N#IgH~5b@Q3?aQ_jJF+RRh4y"
    "f13pGt>z*U>Tl-T6d^oS9zyXpLPM;%&NekNML&&hVZG1yBxP7`A)h#8_oK?4&`SLwG>$p>0Vwmro>l704jHCJeBXFyjj3MPIxJmT"
    "QWSJCH8(S1HmKv-|FU2QSMeAyPY^+1K|M2xe!RI>L>^CU#+Mw8R0Tj?Cg~i6JnX27-bnD>jWzI-Y{iR^-5S*|mGU=bN&VR@D>uCM"
    "<`a(CPOi;}0W%w1Z78&=xP6RBc}L((O(W4>!Ain05knEBT4hT3GI|e6N>8X~Rgxaqbk-StSu1CC6dRFap4hfzVZPA2GS;lC!uGo^"
    "kG#ugqd2&NfUU)iA-8CPn0j5dh`XiwEy?4bdul@;H96KymgBZeXwHAf7LoO&B9C!Mi%8&F;K=rCYyhqVeH#4NqE^@wr!8}yT2nl%"
    ";og-myy{<0J=4DY2gUIi$DQw$b4?RQlK@pEcaN%A%a!w=R9q^-lqxyLYs;kJAKF;u!LOydsc7m*_QKSqGC?)Kr?j*}(y=9ZS51D_"
    "AqO6@6_^(F3R26v-&X+LjUhFu1gY;yPm;KVl!g|V74M|wrw~!@6`HN<yrIJhZ-2I}6IkJ=c3tXwrg7I}me&{GWNaVu%rD{-eKXGz"
    "z=j3zuSIVjnVlnvR?`~pdq=fp=kir)QWxXKMTDB;Kb=RO0gDbKmv$X7-k>H3H|dLH$&ZUXJ!;_!Y=?J<aKvb1&A?#(*szTZ2p*~b"
    "XVn_oewjvD9NhX4>BPPPz=@*il^5jU1Ot$@DuCB(h|%z?hyzUTB@AO@(%QQ}GtG;#8zzS<U$D)<gLK%pY5?qJH;lB#%0xcRAqTKu"
    "wo!-a6e1-+8#M-57LPcjWO3P_8wwWm^m%6Uul+6Cu_h%@RSv+EAk8{g`Eix0d`5O=FyIf%yX~sc#zhu;x>*{(B-c})Sj?KB53qAo"
    "tG$O^jnhkOtxeJ2Jb^^LlL?8b3>5s3FK5N<$yOI{+)I(^3`~q6fe*H!^~IkW4T~zH0Sj3?XwC9RZNzZ}`Tp%7#${q&hy=5f3d0QO"
    "5c_3^Zk+_~Teth52B%q>thR)sm<R}~qhmYVZofT+%r$5#8qVDJ2BKT!;$s|bY@-^#Zguf46d&!b7y)+g7OyaYVm|0;z(d%>PkZE}"
    "q!7nwlH6@HXL3v&INV;84<snHC-XyUU+6^#>MOSQ#=~2*=;8}*b8Qy7))tb4f6;iOorQvV?S9%4jrgn}$IwJ<=BQX6L2g07?#zN6"
    "Cam7luyCFDdDG74DSRmWDl4zaJjK`E9jBP1$;qu|X!!Toudm}?eOaZL1?{F04aI;rZg<A~2xpu2E^O()#Eox&Y6s9qtm^Byzfib2"
    "(`3ooVE)TIIeNk+rGbA!+3(#XU5Nn~@!BoMQd<r~$fr`jaGgCCe=L#Y*Zf-*F)krszMY|^O7+%_OUHIAYE8!jdS~d8xx%%z$(Io-"
    "l;i(tbJ!^q3E%2pLv98W6TC*OE8Lfhznm9%KEPN2#rxEf5UEp<f;?zEVBWg#b6dxWH?O%fo!g72&T2WU+P~UabgXZ0wF2AIA3U@R"
    "k@zlD9oC?ptsgSP(lPGW5H~1E)H~T^l#+RC4<eRZp-wr<VenPRpN0kj0e6_g=Pmt)HNwF@r6nJDOMrUJE*~_=#&bGO)!u*<u@yzl"
    "*wB!c@Iq#n2y6IM<a5+helj2dG6e{q0L{(Xr%oPSHYRf}-6(VuAFh9W577K`Y^3lHDQNhG*rh>p+mW)PeNdFbZIKZ&BTfs>9*Y4L"
    "3E2$wf+eCf3l(PFc(Cp%Q<mio@6;^<5BI72^r!f7fRzT^a~7zY_+OE=9DeZGo<tvWV#Xzh@VNYqo8^bjygN0>l_e>J{Q4hLob?qc"
    ";@nf#aPe#Wz>4qh_{$N?q67iIFq8+OCn9C8{IRx$<PHDEr&7r@5hx0B6rq&D@*lJkQV<(WQ>wH&&Ncz8-eZ_?gwm$e(GlLdn0R^5"
    "i4Z2Xv#IM&NJk#4W(EBstlv7I0jrsl7pbz;2}<F^Ud*k^%!$7NOtPBeWnN$BJL8|V<?r6p6$|`MQ;Sp}Hlv8gO0drtNotr-kEI0o"
    "C1fmf#||mC#i`Vpbwl~}Z4w^X{&x5_H>Og7e6eeBh3h+xg-{QM6GKXMxrh>GOlk;XEoT$+lcW=PHBHT2op`5hyQDp|pDRyKL34NO"
    "H*xNR?>Ohgw9yETsa#qM?LRFkYNhNQw>`h$7Y;W6!JSS*;{~@O-LP(+jna9Jy(tIpZ_+b%qy<{t7Jeq79Sa$afnGCqk->chCADFB"
    "93qvKV{3{YpL!1A1)+e|Kozi8Xo_K$h9g`CgrrOKMz6<5Y>VD;IRb*VK)9lS1rytn1Y^Ti&`8W{<KGJ&++)8=0ssI2IyUpnVFik!"
    "00H7SfQJMCDdWdvvBYQl0ssI200dcD"
)
"""Trained on windows of the training clips: log odds and confidence of every context, then the weights."""


def trained_beginnings():
    """Return probabilities, what they count as seen, and weights, from which every sequence starts."""
    data = np.frombuffer(lzma.decompress(base64.b85decode("".join(BEGINNINGS))), dtype=np.uint8).astype(np.int64)
    odds = (data[:CONTEXTS] - 64) / 2
    zero = np.rint(65536 / (1 + np.exp(-odds))).astype(np.int64).clip(64, 65472)
    seen = np.array([0, 6, 20])[data[CONTEXTS : 2 * CONTEXTS]]
    packed = (data[2 * CONTEXTS :] - 100) * UNIT_WEIGHT // 100
    weights, start = [], 0
    for inputs in MIXED_INPUTS:
        weights.append(packed[start : start + inputs].tolist())
        start += inputs
    return zero.tolist(), seen.tolist(), weights


# ---- entropy coding ------------------------------------------------------------------------------

MEMORY = 120  # bits over which a context averages in the end
LEARNING = [65536 // (2 + min(seen, MEMORY - 2)) for seen in range(256)]  # by bits seen
COST = [-math.log2((p + 0.5) / 256) for p in range(256)]  # bits of a zero of probability p / 256
MIXING_SHIFT = 16  # weights learn the slower, the larger it is
LOG_ODDS = [round(128 * math.log((p + 0.5) / (4095.5 - p))) for p in range(4096)]  # in 1/128
PROBABILITY = [min(65440, max(96, round(65536 / (1 + math.exp(-x / 128))))) for x in range(-1024, 1025)]


class Coder:
    """What both sides of the arithmetic coder share; `put` writes a bit or reads one."""

    def code(self, bit, context):
        """Code one bit and let its context learn."""
        model = self.model
        zero = model.zero[context]
        seen = model.seen[context]
        bit = self.put(bit, min(65440, max(96, zero)))
        if bit:
            model.zero[context] = zero - (zero * LEARNING[seen] >> 16)
        else:
            model.zero[context] = zero + ((65536 - zero) * LEARNING[seen] >> 16)
        if seen < 255:
            model.seen[context] = seen + 1
        return bit

    def mix_3(self, bit, contexts, mixer):
        """Code one bit from 3 contexts; a weighted sum of their log odds learns whom to trust."""
        zero, seen, weights = self.model.zero, self.model.seen, self.model.weights[mixer]
        a, b, c = contexts
        zero_a = zero[a]
        odds_a = LOG_ODDS[zero_a >> 4]
        zero_b = zero[b]
        odds_b = LOG_ODDS[zero_b >> 4]
        zero_c = zero[c]
        odds_c = LOG_ODDS[zero_c >> 4]
        weight_a, weight_b, weight_c = weights
        odds = weight_a * odds_a
        odds += weight_b * odds_b
        odds += weight_c * odds_c
        odds >>= 16
        mixed = PROBABILITY[odds + 1024 if -1024 < odds < 1024 else 2048 if odds > 0 else 0]
        bit = self.put(bit, mixed)
        if bit:
            error = -mixed
            zero[a] = zero_a - (zero_a * LEARNING[seen[a]] >> 16)
            zero[b] = zero_b - (zero_b * LEARNING[seen[b]] >> 16)
            zero[c] = zero_c - (zero_c * LEARNING[seen[c]] >> 16)
        else:
            error = 65536 - mixed
            zero[a] = zero_a + ((65536 - zero_a) * LEARNING[seen[a]] >> 16)
            zero[b] = zero_b + ((65536 - zero_b) * LEARNING[seen[b]] >> 16)
            zero[c] = zero_c + ((65536 - zero_c) * LEARNING[seen[c]] >> 16)
        if seen[a] < 255:
            seen[a] += 1
        if seen[b] < 255:
            seen[b] += 1
        if seen[c] < 255:
            seen[c] += 1
        weights[:] = (
            weight_a + (error * odds_a >> MIXING_SHIFT),
            weight_b + (error * odds_b >> MIXING_SHIFT),
            weight_c + (error * odds_c >> MIXING_SHIFT),
        )
        return bit

    def mix_4(self, bit, contexts, mixer):
        """Code one bit from 4 contexts; a weighted sum of their log odds learns whom to trust."""
        zero, seen, weights = self.model.zero, self.model.seen, self.model.weights[mixer]
        a, b, c, d = contexts
        zero_a = zero[a]
        odds_a = LOG_ODDS[zero_a >> 4]
        zero_b = zero[b]
        odds_b = LOG_ODDS[zero_b >> 4]
        zero_c = zero[c]
        odds_c = LOG_ODDS[zero_c >> 4]
        zero_d = zero[d]
        odds_d = LOG_ODDS[zero_d >> 4]
        weight_a, weight_b, weight_c, weight_d = weights
        odds = weight_a * odds_a
        odds += weight_b * odds_b
        odds += weight_c * odds_c
        odds += weight_d * odds_d
        odds >>= 16
        mixed = PROBABILITY[odds + 1024 if -1024 < odds < 1024 else 2048 if odds > 0 else 0]
        bit = self.put(bit, mixed)
        if bit:
            error = -mixed
            zero[a] = zero_a - (zero_a * LEARNING[seen[a]] >> 16)
            zero[b] = zero_b - (zero_b * LEARNING[seen[b]] >> 16)
            zero[c] = zero_c - (zero_c * LEARNING[seen[c]] >> 16)
            zero[d] = zero_d - (zero_d * LEARNING[seen[d]] >> 16)
        else:
            error = 65536 - mixed
            zero[a] = zero_a + ((65536 - zero_a) * LEARNING[seen[a]] >> 16)
            zero[b] = zero_b + ((65536 - zero_b) * LEARNING[seen[b]] >> 16)
            zero[c] = zero_c + ((65536 - zero_c) * LEARNING[seen[c]] >> 16)
            zero[d] = zero_d + ((65536 - zero_d) * LEARNING[seen[d]] >> 16)
        if seen[a] < 255:
            seen[a] += 1
        if seen[b] < 255:
            seen[b] += 1
        if seen[c] < 255:
            seen[c] += 1
        if seen[d] < 255:
            seen[d] += 1
        weights[:] = (
            weight_a + (error * odds_a >> MIXING_SHIFT),
            weight_b + (error * odds_b >> MIXING_SHIFT),
            weight_c + (error * odds_c >> MIXING_SHIFT),
            weight_d + (error * odds_d >> MIXING_SHIFT),
        )
        return bit

    def mix_6(self, bit, contexts, mixer):
        """Code one bit from 6 contexts; a weighted sum of their log odds learns whom to trust."""
        zero, seen, weights = self.model.zero, self.model.seen, self.model.weights[mixer]
        a, b, c, d, e, f = contexts
        zero_a = zero[a]
        odds_a = LOG_ODDS[zero_a >> 4]
        zero_b = zero[b]
        odds_b = LOG_ODDS[zero_b >> 4]
        zero_c = zero[c]
        odds_c = LOG_ODDS[zero_c >> 4]
        zero_d = zero[d]
        odds_d = LOG_ODDS[zero_d >> 4]
        zero_e = zero[e]
        odds_e = LOG_ODDS[zero_e >> 4]
        zero_f = zero[f]
        odds_f = LOG_ODDS[zero_f >> 4]
        weight_a, weight_b, weight_c, weight_d, weight_e, weight_f = weights
        odds = weight_a * odds_a
        odds += weight_b * odds_b
        odds += weight_c * odds_c
        odds += weight_d * odds_d
        odds += weight_e * odds_e
        odds += weight_f * odds_f
        odds >>= 16
        mixed = PROBABILITY[odds + 1024 if -1024 < odds < 1024 else 2048 if odds > 0 else 0]
        bit = self.put(bit, mixed)
        if bit:
            error = -mixed
            zero[a] = zero_a - (zero_a * LEARNING[seen[a]] >> 16)
            zero[b] = zero_b - (zero_b * LEARNING[seen[b]] >> 16)
            zero[c] = zero_c - (zero_c * LEARNING[seen[c]] >> 16)
            zero[d] = zero_d - (zero_d * LEARNING[seen[d]] >> 16)
            zero[e] = zero_e - (zero_e * LEARNING[seen[e]] >> 16)
            zero[f] = zero_f - (zero_f * LEARNING[seen[f]] >> 16)
        else:
            error = 65536 - mixed
            zero[a] = zero_a + ((65536 - zero_a) * LEARNING[seen[a]] >> 16)
            zero[b] = zero_b + ((65536 - zero_b) * LEARNING[seen[b]] >> 16)
            zero[c] = zero_c + ((65536 - zero_c) * LEARNING[seen[c]] >> 16)
            zero[d] = zero_d + ((65536 - zero_d) * LEARNING[seen[d]] >> 16)
            zero[e] = zero_e + ((65536 - zero_e) * LEARNING[seen[e]] >> 16)
            zero[f] = zero_f + ((65536 - zero_f) * LEARNING[seen[f]] >> 16)
        if seen[a] < 255:
            seen[a] += 1
        if seen[b] < 255:
            seen[b] += 1
        if seen[c] < 255:
            seen[c] += 1
        if seen[d] < 255:
            seen[d] += 1
        if seen[e] < 255:
            seen[e] += 1
        if seen[f] < 255:
            seen[f] += 1
        weights[:] = (
            weight_a + (error * odds_a >> MIXING_SHIFT),
            weight_b + (error * odds_b >> MIXING_SHIFT),
            weight_c + (error * odds_c >> MIXING_SHIFT),
            weight_d + (error * odds_d >> MIXING_SHIFT),
            weight_e + (error * odds_e >> MIXING_SHIFT),
            weight_f + (error * odds_f >> MIXING_SHIFT),
        )
        return bit

    def raw(self, bit):
        """Code one bit that no model can predict."""
        return self.put(bit, 32768)

    def number(self, value, base):
        """Code a number of 0 or more: its size in unary, then its digits; uses 48 contexts from `base`."""
        value += 1
        size = 0
        digits = value.bit_length() - 1
        while self.code(int(size < digits), base + min(size, 15)):
            size += 1
        return self.digits(value, size, base + 16) - 1

    def digits(self, value, size, base):
        """Code what follows the leading digit of a number; the first two digits have contexts."""
        result = 1
        for place in range(size - 1, -1, -1):
            bit = (value >> place) & 1
            if result < 4:
                bit = self.code(bit, base + 4 * min(size, 7) + result)
            else:
                bit = self.put(bit, 32768)
            result = 2 * result + bit
        return result

    def last_place(self, value, bases, mixer):
        """Code the place of the last level, 0 to 255; its size is predicted from three contexts."""
        value += 1
        size = 0
        digits = value.bit_length() - 1
        first, second, third = bases
        while size < 8 and self.mix_3(int(size < digits), (first + size, second + size, third + size), mixer):
            size += 1
        return self.digits(value, size, first + 16) - 1

    def signed(self, value, base):
        """Code a signed number; uses 50 contexts from `base`."""
        magnitude = self.number(abs(value), base)
        if magnitude and self.code(int(value < 0), base + 48):
            return -magnitude
        return magnitude


class RangeEncoder(Coder):
    """Writes bits by narrowing a range (Martin, 1979), with carries."""

    def __init__(self, model):
        self.model = model
        self.low = 0
        self.range = 0xFFFFFFFF
        self.output = bytearray()

    def put(self, bit, zero):
        """Narrow the range to the share of one bit; `zero` is the probability of 0 in 1/65536."""
        bound = (self.range >> 16) * zero
        if bit:
            self.low += bound
            self.range -= bound
        else:
            self.range = bound
        while self.range < 0x1000000:
            self.range <<= 8
            self.shift()
        return bit

    def shift(self):
        """Move the top byte out; a carry ripples back over the bytes already there."""
        if self.low > 0xFFFFFFFF:
            at = len(self.output) - 1
            while self.output[at] == 255:
                self.output[at] = 0
                at -= 1
            self.output[at] += 1
            self.low &= 0xFFFFFFFF
        self.output.append(self.low >> 24)
        self.low = (self.low << 8) & 0xFFFFFFFF

    def finish(self):
        """Return the bytes; zeros at the end are left out, because the decoder supplies them."""
        for unit in (1 << 32, 1 << 24):  # the roundest number in the range; there is always one of the second kind
            end = -(-self.low // unit) * unit
            if end < self.low + self.range:
                self.low = end
                break
        self.shift()
        return bytes(self.output).rstrip(b"\0")


class RangeDecoder(Coder):
    """Reads what RangeEncoder wrote."""

    def __init__(self, model, data):
        self.model = model
        self.data = data
        self.at = 4
        self.range = 0xFFFFFFFF
        self.value = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def put(self, bit, zero):
        """Return the next bit; the one given is ignored."""
        bound = (self.range >> 16) * zero
        if self.value < bound:
            self.range = bound
            bit = 0
        else:
            self.value -= bound
            self.range -= bound
            bit = 1
        while self.range < 0x1000000:
            self.range <<= 8
            self.value <<= 8
            if self.at < len(self.data):
                self.value |= self.data[self.at]
            self.at += 1
        return bit


# ---- levels of one block -------------------------------------------------------------------------


def scan_table(size):
    """Return position, padded position, band and place of every coefficient, from low to high frequency.

    The padded position counts rows of size + 2. Bands 0 to 11 and places 0 to 63 group frequencies for contexts.
    """
    order = sorted(range(size * size), key=lambda p: (p // size + p % size, p))
    table = []
    for index, position in enumerate(order):
        row, column = divmod(position, size)
        diagonal = row + column
        if size == 4:
            band = min(2 * diagonal - (diagonal > 0), 11)
        elif size == 8:
            band = min(11, diagonal)
        else:
            band = diagonal if diagonal < 3 else min(11, 3 + (diagonal - 3) // 3)
        place = index if index < 40 else 40 + (index - 40) * 24 // (size * size - 40 if size > 8 else 24)
        table.append((position, row * (size + 2) + column, band, min(63, place)))
    return table


SCANS = {size: scan_table(size) for size in SIZES}


def code_levels(coder, block, size, kind, energy, hints, texture, counts):
    """Code the levels of one block, from the last significant one back to the first, and return them.

    Parameters
    ----------
    block : list of int
        The levels in raster order; the decoder passes zeros.
    kind : int
        0 to 7: what the contexts distinguish, by size, plane and intra.
    energy, texture, counts : int
        How busy the neighbours are (0 to 3), how busy the prediction is (0 to 7), how many levels the neighbours
        have (0 to 8).
    hints : list of int
        How strong the prediction is at every frequency, 0 to 5.
    """
    scan = SCANS[size]
    row = size + 2
    last = 0
    for index in range(len(scan) - 1, 0, -1):
        if block[scan[index][0]]:
            last = index
            break
    bases = (
        LAST + 48 * (4 * kind + energy),
        LAST_BY_TEXTURE + 16 * (8 * kind + texture),
        LAST_BY_COUNTS + 16 * (9 * kind + counts),
    )
    last = coder.last_place(last, bases, MIX_LAST + kind)
    magnitudes = [0] * (row * row + 2)
    plane = 2 * (kind >= 6) + (kind & 1)
    by_band = SIGNIFICANT_BY_BAND + 96 * kind
    larger_by_crowd = LARGER_BY_CROWD + 128 * plane - 1
    by_place = SIGNIFICANT_BY_PLACE + 256 * kind
    by_gap = SIGNIFICANT_BY_GAP + 256 * kind + 64 * energy
    by_hint = SIGNIFICANT_BY_HINT + 288 * kind
    by_count = SIGNIFICANT_BY_COUNT + 864 * kind
    by_hint_place = SIGNIFICANT_BY_HINT_PLACE + 384 * kind
    larger_by_place = LARGER_BY_PLACE + 256 * plane - 1
    larger_by_band = LARGER_BY_BAND + 768 * plane + 192 * energy - 1
    larger_by_hint = LARGER_BY_HINT + 1152 * plane - 1
    mixer = MIX_SIGNIFICANT + 12 * kind
    count = 0
    mix_4, mix_6 = coder.mix_4, coder.mix_6
    for index in range(last, -1, -1):
        position, at, band, place = scan[index]
        level = block[position]
        right, below = magnitudes[at + 1], magnitudes[at + row]
        near = right + below + magnitudes[at + 2] + magnitudes[at + row + 1] + magnitudes[at + 2 * row]
        crowd = near if near < 7 else 7
        hint = hints[position]
        if index < last:
            few = near if near < 3 else 3
            gap = last - index
            contexts = (
                by_band + 8 * band + crowd,
                by_place + 4 * place + few,
                by_gap + 8 * crowd + (gap if gap < 7 else 7),
                by_hint + 48 * hint + 4 * band + few,
                by_count
                + 108 * (count if count < 7 else 7)
                + 9 * band
                + 3 * (right if right < 2 else 2)
                + (below if below < 2 else 2),
                by_hint_place + 64 * hint + place,
            )
            if not mix_6(int(level != 0), contexts, mixer + band):
                continue
        target = abs(level)
        magnitude = 1
        first = larger_by_crowd + 16 * crowd
        second = larger_by_place + 16 * (place if place < 15 else 15)
        third = larger_by_band + 16 * band
        fourth = larger_by_hint + 192 * hint + 16 * band
        while magnitude < 14 and mix_4(
            int(target > magnitude),
            (first + magnitude, second + magnitude, third + magnitude, fourth + magnitude),
            MIX_LARGER + 8 * plane + (magnitude if magnitude < 7 else 7),
        ):
            magnitude += 1
        count += 1
        if magnitude == 14:
            magnitude += coder.number(max(0, target - 14), LARGE_LEVEL + 48 * plane)
        magnitudes[at] = magnitude
        block[position] = -magnitude if coder.raw(int(level < 0)) else magnitude
    return block


# ---- rate-distortion optimised quantisation ------------------------------------------------------

FIRST_NONE = (0.75, 0.45, 0.35, 0.28, 0.22, 0.2, 0.18, 0.15)  # probability of no level, by crowd, before any was seen
FIRST_NONE_BY_BAND = (1.2, 1, 1, 0.9, 0.8, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.3)  # times the probability of one
FIRST_STOP = (0.85, 0.75, 0.65, 0.55, 0.5, 0.45, 0.4, 0.3)  # of no larger magnitude, by crowd
GUESS_COUNTS = 8  # a first guess counts as much as so many bits


class Quantiser:
    """Chooses levels by their squared error and their bits, which it reads from the probabilities so far."""

    def __init__(self, model, kind, size):
        self.size = size
        self.order = np.array([entry[0] for entry in SCANS[size]])
        self.band = np.array([entry[2] for entry in SCANS[size]])
        guess = 1 - (1 - np.array(FIRST_NONE)) * np.array(FIRST_NONE_BY_BAND)[:, None]
        none = self.live(model, SIGNIFICANT_BY_BAND + 96 * kind, guess.clip(0.05, 0.97))
        self.none = -np.log2(none).astype(np.float32)  # bits of no level, by band and crowd
        self.some = -np.log2(1 - none).astype(np.float32)
        plane = 2 * (kind >= 6) + (kind & 1)
        guess = np.array(FIRST_STOP)[:, None] * np.ones(16)
        stop = self.live(model, LARGER_BY_CROWD + 128 * plane, guess)
        reach = np.concatenate([np.zeros((8, 1)), np.cumsum(-np.log2(1 - stop), axis=1)], axis=1)
        self.magnitude = np.zeros((8, 16), dtype=np.float32)  # bits of a magnitude with its sign, by crowd
        self.magnitude[:, 1:14] = 1 + reach[:, :13] - np.log2(stop[:, :13])
        self.magnitude[:, 14:] = self.magnitude[:, 13:14] + (1, 2)
        self.last_bits = (1.5 + 1.6 * np.log2(1 + np.arange(size * size))).astype(np.float32)

    @staticmethod
    def live(model, start, guess):
        """Return the probabilities of zero of the contexts from `start`, blended with a first guess."""
        stop = start + guess.size
        zero = np.array(model.zero[start:stop]).reshape(guess.shape).clip(600, 64936) / 65536
        seen = np.array(model.seen[start:stop]).reshape(guess.shape)
        return (zero * seen + guess * GUESS_COUNTS) / (seen + GUESS_COUNTS)

    def crowd(self, levels):
        """Return the sum of the magnitudes coded before each one nearby, at most 7, in scan order."""
        size = self.size
        padded = np.zeros((len(levels), size + 2, size + 2), dtype=np.int16)
        padded[:, :size, :size] = levels
        near = padded[:, :-2, 1:-1] + padded[:, :-2, 2:] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 1:-1]
        near += padded[:, 2:, :-2]
        return np.minimum(near, 7).reshape(len(levels), -1)[:, self.order]

    def choose(self, coefficients, step):
        """Return levels (n, size, size) and the costs of each block, coded and empty, in squared steps."""
        count, size = len(coefficients), self.size
        magnitudes = np.abs(coefficients).reshape(count, -1)[:, self.order]
        scaled = (magnitudes * (16 / step)).astype(np.float32)
        levels = np.floor(scaled + 0.33)
        for _ in (0, 1):  # the crowd depends on the levels: once more with better ones
            grid = np.zeros((count, size * size), dtype=np.int16)
            grid[:, self.order] = np.minimum(levels, 16)
            levels, cost, last_levels, last_cost = self.best(scaled, self.crowd(grid.reshape(count, size, size)))
        squares = scaled * scaled
        empty = squares.sum(axis=1)
        # the cost of stopping at each place: levels before it, itself significant, nothing after it
        after = empty[:, None] - np.cumsum(squares, axis=1)
        total = np.cumsum(cost, axis=1) - cost + last_cost + after + RATE_WEIGHT * self.last_bits
        last = np.argmin(total, axis=1)
        rows = np.arange(count)
        coded = total[rows, last]
        levels = np.where(np.arange(size * size) < last[:, None], levels, 0)
        levels[rows, last] = last_levels[rows, last]
        levels = np.where((coded < 1e8)[:, None], levels, 0)
        result = np.zeros((count, size * size), dtype=np.int32)
        result[:, self.order] = levels
        return result.reshape(count, size, size) * np.sign(coefficients).astype(np.int32), coded, empty

    def best(self, scaled, crowd):
        """Return the best level of every coefficient and its cost, then the same if it must not be zero."""
        some = RATE_WEIGHT * self.some[self.band, crowd]
        cost = scaled * scaled + RATE_WEIGHT * self.none[self.band, crowd]
        levels = np.zeros_like(scaled)
        last_levels, last_cost = np.zeros_like(scaled), np.full_like(scaled, 1e9)
        upper = np.floor(scaled + 0.5)
        for level in (upper, upper - 1):
            bits = self.magnitude[crowd, level.clip(0, 15).astype(np.int16)]
            error = scaled - np.maximum(level - RECONSTRUCTION_BIAS / 32, 0)
            here = np.where(level >= 1, error * error + RATE_WEIGHT * bits, 1e9)
            better = here < last_cost
            last_cost = np.where(better, here, last_cost)
            last_levels = np.where(better, level, last_levels)
            better = here + some < cost
            cost = np.where(better, here + some, cost)
            levels = np.where(better, level, levels)
        return levels, cost, last_levels, last_cost


# ---- prediction from the neighbours in the same frame --------------------------------------------
#
# A block is predicted from the samples around it: left column, corner and top row. Every mode is a fixed linear
# map of these samples, so a mode is one column block of a matrix, and all modes of many blocks are one product.

# Directions (down, right) in which the neighbours are continued
RAYS = (
    (1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (4, 1), (1, 4), (4, 3),
    (3, 4), (1, -1), (2, -1), (4, -1), (8, 1), (1, 8), (8, 3), (3, 8),
    (8, 5), (5, 8), (7, 8), (8, 7), (8, -1), (8, -3), (4, -3),
)


def ray_weights(size, down, right):
    """Return the matrix (3 size + 1, size * size), in 1/64, that continues the neighbours along one direction."""
    weights = np.zeros((3 * size + 1, size * size))
    for y in range(size):
        for x in range(size):
            if down > 0 and x + 1 - (y + 1) * right / down >= 0:  # the ray comes from the top row
                place = size + (x + 1) - (y + 1) * right / down
            else:  # from the left column
                place = size - (y + 1) + (x + 1) * down / right
            place = min(3.0 * size, max(0.0, place))
            whole = int(place)
            part = round(64 * (place - whole))
            weights[whole, y * size + x] += 64 - part
            if part:
                weights[whole + 1, y * size + x] += part
    return weights


def mode_weights(size):
    """Return the matrices of all modes side by side: mean, smooth surface, then the rays."""
    mean = np.zeros((3 * size + 1, size * size))
    mean[:size] = mean[size + 1 : 2 * size + 1] = 32 // size
    surface = np.zeros((3 * size + 1, size * size))
    share = 32 // size
    for y in range(size):
        for x in range(size):
            surface[size - 1 - y, y * size + x] += share * (size - 1 - x)
            surface[2 * size + 1, y * size + x] += share * (x + 1)
            surface[size + 1 + x, y * size + x] += share * (size - 1 - y)
            surface[0, y * size + x] += share * (y + 1)
    return np.concatenate([mean, surface, *(ray_weights(size, *ray) for ray in RAYS)], axis=1)


MODES = {size: mode_weights(size) for size in SIZES}
MODE_COUNT = 2 + len(RAYS)
FEW_MODES = 4  # tried to decide whether a block is predicted in its own frame, and in large frames


def neighbour_samples(plane, rows, columns, size, reach):
    """Return the samples around blocks (n, 3 size + 1): left column upwards, corner, top row rightwards.

    `reach` is how many samples along the top are decoded already; the last of them is repeated. Outside the frame
    the nearest side stands in, and mid-grey where there is none.
    """
    up = np.arange(size - 1, -1, -1)
    along = np.minimum(np.arange(2 * size), reach - 1)
    top_rows = np.maximum(rows - 1, 0)[:, None]
    left_columns = np.maximum(columns - 1, 0)[:, None]
    top = plane[top_rows, np.minimum(columns[:, None] + along, plane.shape[1] - 1)]
    left = plane[rows[:, None] + up, left_columns]
    corner = plane[top_rows, left_columns]
    no_top = (rows == 0)[:, None]
    no_left = (columns == 0)[:, None]
    first_top, first_left = top[:, :1], left[:, -1:]
    corner = np.where(no_top, first_left, np.where(no_left, first_top, corner))
    sides = [np.where(no_left, first_top, left), corner, np.where(no_top, first_left, top)]
    return np.where(no_top & no_left, 128, np.concatenate(sides, axis=1))


def predict_modes(samples, size, count):
    """Return the predictions of the first modes, (n, count, size, size)."""
    weights = MODES[size][:, : count * size * size]
    predictions = np.floor(samples.astype(np.float64) @ weights / 64 + 0.5)
    return predictions.reshape(len(samples), count, size, size).astype(np.int32)


def predict_mode(samples, size, modes):
    """Return the prediction of each block in its own mode, (n, size, size)."""
    return predict_modes(samples, size, int(modes.max()) + 1)[np.arange(len(samples)), modes]


def put_blocks(plane, rows, columns, blocks):
    """Write blocks (n, size, size) into a plane."""
    reach = np.arange(blocks.shape[-1])
    plane[rows[:, None, None] + reach[:, None], columns[:, None, None] + reach] = blocks


def get_blocks(plane, rows, columns, size):
    """Return blocks (n, size, size) of a plane."""
    reach = np.arange(size)
    return plane[rows[:, None, None] + reach[:, None], columns[:, None, None] + reach]


def waves(picture):
    """Yield rows and columns of intra macroblocks whose left, top and top-right neighbours come earlier."""
    rows, columns = np.divmod(np.flatnonzero(picture.kinds == INTRA), picture.columns)
    numbers = 2 * rows + columns
    for number in np.unique(numbers):
        chosen = numbers == number
        yield rows[chosen], columns[chosen]


QUARTERS = ((0, 0, 16), (0, 8, 8), (8, 0, 16), (8, 8, 8))  # offset (down, right) and reach along the top
PIECES = ((0, 0), (0, 4), (4, 0), (4, 4))  # offsets of the quarters of a quarter


def piece_reach(piece, reach):
    """Return the reach along the top of a piece of a quarter whose own reach is given."""
    return (8, 8 if reach > 8 else 4, 8, 4)[piece]


# ---- symbols of a frame --------------------------------------------------------------------------

SKIPPED, INTER, INTRA = 0, 1, 2  # kinds of macroblock: 16 x 16 luma and 8 x 8 samples of each chroma plane
KIND = {4: 0, 8: 2, 16: 4}  # what `code_levels` calls a luma block, by size
KIND_CHROMA = 6


class Picture:
    """All symbols of one frame, by macroblock in raster order.

    Attributes
    ----------
    kinds : (n,)
        SKIPPED, INTER or INTRA.
    luma : (n, 256)
        Levels, as they are coded: one block of 16 x 16, or by quarter one of 8 x 8 or four of 4 x 4.
    chroma : (n, 2, 64)
        Levels of the blue and the red plane.
    large : (n,)
        Whether luma is one block of 16 x 16.
    small : (n, 4)
        Whether a quarter is four blocks of 4 x 4.
    modes : (n, 4)
        Intra modes by quarter.
    split : (n,)
        Whether every quarter has a motion of its own.
    big : (rows / 2, columns / 2)
        Whether four macroblocks share one motion.
    field : list of lists
        Motion of every unit, with a border of None.
    """

    def __init__(self, rows, columns):
        count = rows * columns
        self.rows, self.columns = rows, columns
        self.kinds = np.full(count, INTRA)
        self.luma = np.zeros((count, 256), dtype=np.int32)
        self.chroma = np.zeros((count, 2, 64), dtype=np.int32)
        self.large = np.zeros(count, dtype=np.int64)
        self.small = np.zeros((count, 4), dtype=np.int64)
        self.modes = np.zeros((count, 4), dtype=np.int64)
        self.split = np.zeros(count, dtype=np.int64)
        self.big = np.zeros((-(-rows // 2), -(-columns // 2)), dtype=np.int64)
        self.field = [[None] * (2 * columns + 3) for _ in range(2 * rows + 3)]

    def motion(self):
        """Return the motion of all units, (rows, columns, 5)."""
        units = [row[1 : 2 * self.columns + 1] for row in self.field[1 : 2 * self.rows + 1]]
        return np.array([[motion or STILL for motion in row] for row in units])


def macroblock_groups(picture):
    """Yield the macroblocks (row, column) in coding order, four at a time where they may share a motion."""
    for row in range(0, picture.rows, 2):
        for column in range(0, picture.columns, 2):
            places = [(r, c) for r in (row, row + 1) for c in (column, column + 1)]
            yield [(r, c) for r, c in places if r < picture.rows and c < picture.columns]


# ---- motion compensation -------------------------------------------------------------------------
#
# A unit is 8 x 8 luma samples. Its motion is (mode, y, x, older y, older x) in quarters of a sample: mode 0 predicts
# from the last frame, 1 from the last finer one before it, 2 from the mean of both.
# What a mode does not use is derived, so that it can be inherited.

PEL = 4  # vectors count in 1/PEL of a luma sample
RANGE = 16  # samples; no vector is longer in either direction
MARGIN = RANGE + 8  # the reference is extended by this much on every side
TAPS = {1: (-1, 4, -10, 58, 17, -5, 1, 0), 2: (-1, 4, -11, 40, 40, -11, 4, -1), 3: (0, 1, -5, 17, 58, -10, 4, -1)}
"""Interpolation filters by quarter, in 1/64, from three samples before to four after (those of HEVC)."""
STILL = (0, 0, 0, 0, 0)
MOST_CANDIDATES = 5


def clip_vector(component):
    """Return a component of a vector within the search range."""
    limit = RANGE * PEL
    return -limit if component < -limit else limit if component > limit else component


def complete(mode, y, x, older_y, older_x):
    """Return a motion with what its mode does not use derived."""
    if mode == 0:
        return (0, y, x, clip_vector(2 * y), clip_vector(2 * x))
    if mode == 1:
        return (1, int(older_y / 2), int(older_x / 2), older_y, older_x)
    return (2, y, x, older_y, older_x)


def candidates_at(field, previous, y, x, size):
    """Return the motions that a block of `size` units may inherit, likeliest first, none twice.

    `field` and `previous` are the motions of this frame and the last one, in rows of units with a border of None.
    """
    found = []
    for motion in (
        field[y + size - 1][x - 1],
        field[y - 1][x + size - 1],
        field[y - 1][x + size],
        field[y - 1][x - 1],
        previous[y + size // 2][x + size // 2],
        STILL,
    ):
        if motion is not None and motion not in found:
            found.append(motion)
    return found[:MOST_CANDIDATES]


def shifted(plane, quarters):
    """Return a plane moved left by a number of quarters of a sample."""
    if quarters == 0:
        return plane
    padded = np.pad(plane, ((0, 0), (3, 4)), mode="edge")
    width = plane.shape[1]
    total = sum(tap * padded[:, n : n + width] for n, tap in enumerate(TAPS[quarters]) if tap)
    return ((total + 32) >> 6).clip(0, 255)


def fraction_planes(luma):
    """Return the extended reference at every fraction of a sample, (PEL * PEL, height, width) int16."""
    extended = np.pad(luma, MARGIN, mode="edge").astype(np.int32)
    across = [shifted(extended, n) for n in range(PEL)]
    return np.stack([shifted(plane.T, n).T for n in range(PEL) for plane in across]).astype(np.int16)


def fetch(fractions, vectors, size):
    """Return the reference blocks (rows, columns, size, size) that vectors (rows, columns, 2) point to."""
    rows, columns = vectors.shape[:2]
    whole, part = vectors // PEL, vectors % PEL
    y = MARGIN + size * np.arange(rows)[:, None] + whole[..., 0]
    x = MARGIN + size * np.arange(columns) + whole[..., 1]
    windows = sliding_window_view(fractions, (size, size), axis=(1, 2))
    return windows[part[..., 0] * PEL + part[..., 1], y, x]


def predict_luma(fractions, vectors):
    """Return the luma plane that the vectors of all units predict."""
    blocks = fetch(fractions, vectors, 8)
    return blocks.swapaxes(1, 2).reshape(vectors.shape[0] * 8, vectors.shape[1] * 8).astype(np.int32)


CHROMA_TAPS = ((0, 64, 0, 0), (-2, 58, 10, -2), (-4, 54, 16, -2), (-6, 46, 28, -4), (-4, 36, 36, -4))
CHROMA_TAPS = np.array([*CHROMA_TAPS, *(taps[::-1] for taps in CHROMA_TAPS[3:0:-1])])
"""Interpolation filters by eighth of a chroma sample, in 1/64, from one sample before to two after (those of HEVC)."""


def predict_chroma(plane, vectors):
    """Return the chroma plane that the vectors of all units predict, at half their length."""
    size, unit = 4, 2 * PEL
    extended = np.pad(plane, MARGIN, mode="edge")
    rows, columns = vectors.shape[:2]
    whole, part = vectors // unit, vectors % unit
    y = MARGIN - 1 + size * np.arange(rows)[:, None] + whole[..., 0]
    x = MARGIN - 1 + size * np.arange(columns) + whole[..., 1]
    around = sliding_window_view(extended, (size + 3, size + 3))[y, x]
    down, right = CHROMA_TAPS[part[..., 0]], CHROMA_TAPS[part[..., 1]]
    across = sum(right[..., n, None, None] * around[..., n : n + size] for n in range(4))
    total = sum(down[..., n, None, None] * across[..., n : n + size, :] for n in range(4))
    blocks = ((total + 2048) >> 12).clip(0, 255)
    return blocks.swapaxes(1, 2).reshape(rows * size, columns * size)


def predict_planes(sequence, motion):
    """Return the three planes that the motions (rows, columns, 5) of all units predict."""
    planes = []
    for index, size in enumerate((8, 4, 4)):
        last = predict_plane(sequence, motion[..., 1:3], 0, index)
        mode = motion[..., 0].repeat(size, axis=0).repeat(size, axis=1)
        if mode.any():
            older = predict_plane(sequence, motion[..., 3:5], 1, index)
            last = np.where(mode == 0, last, np.where(mode == 1, older, (last + older + 1) >> 1))
        planes.append(last)
    planes[0] = overlap(sequence, motion, planes[0])
    return planes


def predict_plane(sequence, vectors, which, index):
    """Return what vectors (rows, columns, 2) into one of the earlier frames predict of one plane."""
    if index == 0:
        return predict_luma(sequence.fractions[which], vectors)
    return predict_chroma(sequence.frames[which][index], vectors)


OVERLAP = np.array((8, 4, 2, 1, 0, 0, 0, 0))
"""Share of the neighbour's prediction by distance from the edge between two units, in 1/32."""


def unit_blocks(sequence, motion, rows, columns):
    """Return the luma predictions (n, 8, 8) of some units under motions (n, 5)."""

    def look_up(which):
        windows = sliding_window_view(sequence.fractions[which], (8, 8), axis=(1, 2))
        vertical, horizontal = motion[:, 1 + 2 * which], motion[:, 2 + 2 * which]
        phase = (vertical & 3) * 4 + (horizontal & 3)
        y, x = MARGIN + 8 * rows + (vertical >> 2), MARGIN + 8 * columns + (horizontal >> 2)
        return windows[phase, y, x].astype(np.int32)

    last = look_up(0)
    mode = motion[:, 0, None, None]
    if not mode.any():
        return last
    older = look_up(1)
    return np.where(mode == 0, last, np.where(mode == 1, older, (last + older + 1) >> 1))


def overlap(sequence, motion, luma):
    """Blend the luma prediction of every unit, near its sides, with what the motions of its neighbours predict."""
    rows, columns = motion.shape[:2]
    result = luma.copy()
    blocks = result.reshape(rows, 8, columns, 8).swapaxes(1, 2)
    for down, right in ((-1, 0), (0, -1), (1, 0), (0, 1)):
        other = np.roll(motion, (-down, -right), axis=(0, 1))
        differs = (other != motion).any(axis=2)
        if down:
            differs[0 if down < 0 else -1] = False
        else:
            differs[:, 0 if right < 0 else -1] = False
        y, x = np.nonzero(differs)
        if not len(y):
            continue
        neighbour = unit_blocks(sequence, other[y, x], y, x)
        ramp = OVERLAP if down + right < 0 else OVERLAP[::-1]
        share = ramp[:, None] if down else ramp[None, :]
        blocks[y, x] = (blocks[y, x] * (32 - share) + neighbour * share + 16) >> 5
    return result


# ---- motion search -------------------------------------------------------------------------------


def vector_bits(difference):
    """Return about how many bits the difference of a vector (..., 2) from its prediction costs."""
    return (2 * np.log2(1 + np.abs(difference)) + (difference != 0)).sum(axis=-1)


def coarse_search(source, reference):
    """Return a vector for each macroblock, found on planes of a quarter of the size."""

    def shrink(plane):
        height, width = plane.shape
        return plane.reshape(height // 4, 4, width // 4, 4).mean(axis=(1, 3)).astype(np.float32)

    small, reach = shrink(source), RANGE // 4
    padded = np.pad(shrink(reference), reach, mode="edge")
    height, width = small.shape
    best_cost = np.full((height // 4, width // 4), np.inf)
    best = np.zeros((height // 4, width // 4, 2), dtype=np.int64)
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            moved = padded[reach + y : reach + y + height, reach + x : reach + x + width]
            cost = np.abs(small - moved).reshape(height // 4, 4, width // 4, 4).sum(axis=(1, 3)) + abs(y) + abs(x)
            better = cost < best_cost
            best_cost[better] = cost[better]
            best[better] = (4 * PEL * y, 4 * PEL * x)
    return best


class Search:
    """Block matching of all blocks of a frame at once; the cost is the difference plus the vector's bits."""

    def __init__(self, source, fractions, size, weight):
        height, width = source.shape
        self.blocks = source.reshape(height // size, size, width // size, size).swapaxes(1, 2).astype(np.int16)
        self.fractions = fractions
        self.size = size
        self.weight = weight

    def start(self, vectors):
        """Begin with one vector a block."""
        self.best = vectors.copy()
        self.expect()

    def expect(self):
        """Predict every vector as the median of its neighbours, and price the best ones anew."""
        padded = np.pad(self.best, ((1, 1), (1, 1), (0, 0)), mode="edge")
        around = np.stack([padded[1:-1, :-2], padded[:-2, 1:-1], padded[:-2, 2:]])
        self.expected = np.median(around, axis=0).astype(np.int64)
        self.cost = self.price(self.best)

    def price(self, vectors):
        """Return the cost of one vector a block."""
        difference = np.abs(self.blocks - fetch(self.fractions, vectors, self.size))
        return difference.sum(axis=(2, 3), dtype=np.int32) + self.weight * vector_bits(vectors - self.expected)

    def consider(self, vectors):
        """Take the vectors that are better than the best so far."""
        vectors = vectors.clip(-RANGE * PEL, RANGE * PEL)
        cost = self.price(vectors)
        better = cost < self.cost
        self.best[better] = vectors[better]
        self.cost[better] = cost[better]

    def consider_neighbours(self):
        """Try the vectors of the four blocks around, and their median."""
        padded = np.pad(self.best, ((1, 1), (1, 1), (0, 0)), mode="edge")
        for vectors in (padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]):
            self.consider(vectors)
        self.consider(self.expected)

    def refine(self, distances):
        """Walk to the best of eight neighbours at each of some distances, in quarters of a sample."""
        for distance in distances:
            centre = self.best.copy()
            for y in (-distance, 0, distance):
                for x in (-distance, 0, distance):
                    if y or x:
                        self.consider(centre + (y, x))


def search_motion(sequence, source, step):
    """Return vectors by the size of blocks, (rows, columns, 2); under "older" and "mean", those of the older frame."""
    weight = VECTOR_WEIGHT * step / 16
    fractions = sequence.fractions[0]
    previous = previous_vectors(sequence)
    search = Search(source, fractions, 16, weight)
    search.start(np.zeros_like(previous))
    search.consider(previous)
    search.consider(coarse_search(source, sequence.frames[0][0]))
    search.expect()
    search.consider_neighbours()
    search.refine((2 * PEL, PEL))
    search.expect()
    search.consider_neighbours()
    search.refine((2, 1))
    found = {16: search.best}
    quarters = Search(source, fractions, 8, weight)
    quarters.start(search.best.repeat(2, axis=0).repeat(2, axis=1))
    quarters.consider_neighbours()
    quarters.refine((PEL, PEL // 2, 1))
    found[8] = quarters.best
    height, width = source.shape[0] // 32 * 32, source.shape[1] // 32 * 32
    if height and width:
        large = Search(source[:height, :width], fractions, 32, weight)
        part = search.best[: height // 16, : width // 16]
        large.start(part[::2, ::2])
        for y, x in ((0, 1), (1, 0), (1, 1)):
            large.consider(part[y::2, x::2])
        large.consider_neighbours()
        large.refine((2, 1))
        found[32] = large.best
    if len(sequence.frames) > 1:
        found |= search_older(sequence, source, search.best, weight)
    return found


def search_older(sequence, source, vectors, weight):
    """Return vectors into the older frame, alone and for the mean with the last one, given those into the last one."""
    last, before = sequence.fractions
    older = Search(source, before, 16, weight)
    older.start((2 * vectors).clip(-RANGE * PEL, RANGE * PEL))
    older.consider(vectors)
    older.consider(np.zeros_like(vectors))
    older.consider_neighbours()
    older.refine((PEL, 2, 1))
    # The mean is good where each half predicts what the other one leaves of twice the source.
    second = Search(source, before, 16, 2 * weight)
    second.blocks = 2 * second.blocks - fetch(last, vectors, 16)
    second.start(older.best)
    second.refine((2, 1))
    first = Search(source, last, 16, 2 * weight)
    first.blocks = 2 * first.blocks - fetch(before, second.best, 16)
    first.start(vectors)
    first.refine((2, 1))
    return {"older": older.best, "mean": np.concatenate([first.best, second.best], axis=2)}


def previous_vectors(sequence):
    """Return the vectors of the frame before into its last frame, one a macroblock."""
    rows, columns = sequence.rows, sequence.columns
    units = sequence.previous
    return np.array([[(units[2 * r + 1][2 * c + 1] or STILL)[1:3] for c in range(columns)] for r in range(rows)])


# ---- decisions on motion -------------------------------------------------------------------------

SIGNED_BITS = [0.7] + [2.2 + 1.7 * math.log2(n) for n in range(1, 600)]  # about what a difference costs


def worth_of(scaled):
    """Return about what a coefficient of so many steps costs: its square, or its level's bits and the error left."""
    costs = [scaled * scaled]
    for level in range(max(1, int(scaled)), int(scaled) + 2):
        bits = 6.3 if level == 1 else 6.5 + 1.6 * math.log2(level)
        costs.append((scaled - level) ** 2 + RATE_WEIGHT * bits)
    return min(costs)


WORTH = np.array([worth_of(n / 16) for n in range(1024)], dtype=np.float32)


def motion_bits(motion, inherited):
    """Return about how many bits a motion of its own costs, as a difference from the best one to inherit."""
    least = 99.0
    for place, other in enumerate(inherited):
        bits = 2.5 + 0.7 * place + (motion[0] != other[0])
        if motion[0] != 1:
            bits += SIGNED_BITS[abs(motion[1] - other[1])] + SIGNED_BITS[abs(motion[2] - other[2])]
        if motion[0] == 1 or motion[0] == 2 == other[0]:
            bits += SIGNED_BITS[abs(motion[3] - other[3])] + SIGNED_BITS[abs(motion[4] - other[4])]
        elif motion[0] == 2:
            bits += SIGNED_BITS[abs(motion[3] - clip_vector(2 * motion[1]))]
            bits += SIGNED_BITS[abs(motion[4] - clip_vector(2 * motion[2]))]
        least = min(least, bits)
    return least


class Decider:
    """Chooses the motion and the partition of a frame by rate and distortion, block by block in coding order."""

    def __init__(self, sequence, picture, source, found, step):
        self.fractions = sequence.fractions
        self.model = sequence.model
        self.picture = picture
        self.source = source.astype(np.int16)
        self.found = {size: vectors.tolist() for size, vectors in found.items()}
        self.field = picture.field
        self.previous = sequence.previous
        self.skipped = [[0] * (picture.columns + 2) for _ in range(picture.rows + 2)]
        self.scale = 16.0 / step
        self.finer = int(sequence.finer)

    def block(self, y, x, size, motion):
        """Return the luma prediction of a block; y, x and size in samples."""
        mode, last_y, last_x, older_y, older_x = motion
        if mode != 1:
            last = self.reference(0, y, x, size, last_y, last_x)
            if mode == 0:
                return last
        older = self.reference(1, y, x, size, older_y, older_x)
        return older if mode == 1 else (last + older + 1) >> 1

    def reference(self, which, y, x, size, vertical, horizontal):
        """Return the block of an earlier frame that a vector points to."""
        top, left = MARGIN + y + (vertical >> 2), MARGIN + x + (horizontal >> 2)
        return self.fractions[which][(vertical & 3) * 4 + (horizontal & 3), top : top + size, left : left + size]

    def evaluate(self, y, x, size, motions):
        """Return the costs of each motion in squared steps, without a residual and with one, as two lists."""
        source = self.source[y : y + size, x : x + size]
        stack = np.empty((len(motions), size, size), dtype=np.float32)
        for place, motion in enumerate(motions):
            stack[place] = source - self.block(y, x, size, motion)
        part = size // 8
        blocks = stack.reshape(-1, part, 8, part, 8).swapaxes(2, 3).reshape(-1, 64)
        scaled = np.abs(blocks @ KRONECKER[8]) * self.scale
        worth = WORTH[np.minimum(scaled * 16, 1023).astype(np.int16)].sum(axis=1) + RATE_WEIGHT * 3.0
        empty = np.square(scaled).sum(axis=1)
        coded = np.minimum(worth, empty).reshape(len(motions), -1).sum(axis=1)
        return empty.reshape(len(motions), -1).sum(axis=1).tolist(), coded.tolist()

    def cost(self, bit, context):
        """Return the bits of a flag."""
        zero = self.model.zero[context] >> 8
        return COST[255 - zero if bit else zero]

    def own_motions(self, row, column, units):
        """Return the motions that the search found for a block of 4 or 2 units."""
        vectors = [self.found[16][row][column]]
        if units == 4:
            vectors = [self.found[32][row // 2][column // 2], vectors[0], self.found[16][row + 1][column + 1]]
        own = [complete(0, y, x, 0, 0) for y, x in vectors]
        if "mean" in self.found:
            if units == 2:
                own.append(complete(1, 0, 0, *self.found["older"][row][column]))
            own.append((2, *self.found["mean"][row][column]))
        return own

    def leaf(self, row, column, units):
        """Return the least cost of a block of 4 or 2 units with one motion, that motion, and whether to skip it."""
        y, x = 2 * row + 1, 2 * column + 1
        inherited = candidates_at(self.field, self.previous, y, x, units)
        motions = list(inherited)
        motions += [m for m in dict.fromkeys(self.own_motions(row, column, units)) if m not in inherited]
        empty, coded = self.evaluate(8 * (y - 1), 8 * (x - 1), 8 * units, motions)
        around = self.skipped[row + 1][column] + self.skipped[row][column + 1]
        context = IS_SKIPPED + 3 * (units == 4) + around + 6 * self.finer
        skip_bits, other_bits = self.cost(1, context), self.cost(0, context)
        best, least, skip = None, 1e18, False
        for place, motion in enumerate(motions):
            if place < len(inherited):
                bits = 0.6 + 0.9 * place
                cost = empty[place] + RATE_WEIGHT * (skip_bits + bits)
                if cost < least:
                    best, least, skip = motion, cost, True
            else:
                bits = motion_bits(motion, inherited)
            cost = coded[place] + RATE_WEIGHT * (other_bits + bits + 2.5)
            if cost < least:
                best, least, skip = motion, cost, False
        return least, best, skip

    def fill(self, row, column, units, motion):
        """Write a motion into the field."""
        for y in range(2 * row + 1, 2 * row + 1 + units):
            self.field[y][2 * column + 1 : 2 * column + 1 + units] = [motion] * units

    def decide_macroblock(self, row, column):
        """Decide a macroblock; return its cost."""
        least, best, skip = self.leaf(row, column, 2)
        picture = self.picture
        at = row * picture.columns + column
        worthwhile = least > RATE_WEIGHT * 10 and not (skip and least < RATE_WEIGHT * 8)
        total = self.decide_quarters(row, column, least) if worthwhile else None
        picture.split[at] = total is not None
        if total is not None:
            self.skipped[row + 1][column + 1] = 0
            return total
        self.fill(row, column, 2, best)
        self.skipped[row + 1][column + 1] = int(skip)
        return least

    def decide_quarters(self, row, column, bound):
        """Give each quarter of a macroblock a motion; return their cost, or None if it exceeds a bound."""
        total = RATE_WEIGHT * 3.5
        for part in range(4):
            y, x = 2 * row + 1 + part // 2, 2 * column + 1 + part % 2
            inherited = candidates_at(self.field, self.previous, y, x, 1)
            own = complete(0, *self.found[8][y - 1][x - 1], 0, 0)
            motions = inherited if own in inherited else [*inherited, own]
            _, coded = self.evaluate(8 * (y - 1), 8 * (x - 1), 8, motions)
            costs = [
                cost + RATE_WEIGHT * (0.8 + 0.9 * n if n < len(inherited) else 1 + motion_bits(own, inherited))
                for n, cost in enumerate(coded)
            ]
            place = costs.index(min(costs))
            total += costs[place]
            self.field[y][x] = motions[place]
            if total >= bound:
                return None
        return total

    def decide(self):
        """Decide the whole frame."""
        for group in macroblock_groups(self.picture):
            if len(group) == 4:
                self.decide_group(group)
                continue
            for row, column in group:
                self.decide_macroblock(row, column)

    def decide_group(self, group):
        """Decide four macroblocks, as one block or each for itself."""
        picture = self.picture
        row, column = group[0]
        least, best, skip = self.leaf(row, column, 4)
        if not (skip and least < RATE_WEIGHT * 10):
            if least > sum(self.decide_macroblock(r, c) for r, c in group):
                return
        self.fill(row, column, 4, best)
        picture.big[row // 2, column // 2] = 1
        for r, c in group:
            self.skipped[r + 1][c + 1] = int(skip)
            picture.split[r * picture.columns + c] = 0


# ---- syntax of a frame ---------------------------------------------------------------------------


class FrameSyntax:
    """Codes the symbols of a picture; the same walk writes them on one side and reads them on the other."""

    def __init__(self, coder, picture, sequence):
        self.coder = coder
        self.picture = picture
        self.sequence = sequence
        self.finer = int(sequence.finer)
        self.kinds = picture.kinds.tolist()
        self.kind_field = [[SKIPPED] * (picture.columns + 2) for _ in range(picture.rows + 1)]
        self.before = sequence.kind_field or self.kind_field
        self.mode_field = [[0] * (2 * picture.columns + 1) for _ in range(2 * picture.rows + 1)]
        self.previous = sequence.previous
        self.known = picture.field
        self.field = [[None] * len(row) for row in self.known]
        self.depth = [[1] * (picture.columns + 2) for _ in range(picture.rows + 2)]  # 0 big, 2 split

    def flag(self, bit, base, first, second, third, mixer):
        """Code a flag from three contexts of 32 values each."""
        return self.coder.mix_3(int(bit), (base + first, base + 32 + second, base + 64 + third), MIX_FLAGS + mixer)

    def walk(self, predicted):
        """Code kinds, motion and modes of all macroblocks; `predicted` tells whether there is an earlier frame."""
        picture = self.picture
        if predicted:
            for group in macroblock_groups(picture):
                self.group(group)
            picture.field = self.field
        else:
            self.walk_intra()
        picture.kinds = np.array(self.kinds)

    def walk_intra(self):
        """Code the modes of a frame that is all intra."""
        for at in range(len(self.kinds)):
            row, column = divmod(at, self.picture.columns)
            self.kind_field[row + 1][column + 1] = INTRA
            self.modes(row, column, at)

    def group(self, group):
        """Code macroblocks that may share one motion."""
        if len(group) == 4:
            picture = self.picture
            row, column = group[0]
            depth = self.depth[row + 1][column] + self.depth[row][column + 1]
            stable = sum(self.before[r + 1][c + 1] == SKIPPED for r, c in group)
            skips = (self.kind_field[row + 1][column] == SKIPPED) + (self.kind_field[row][column + 1] == SKIPPED)
            contexts = depth + 3 * self.finer, stable + 5 * self.finer, 3 * skips + depth
            big = self.flag(picture.big[row // 2, column // 2], IS_BIG, *contexts, 0)
            picture.big[row // 2, column // 2] = big
            if big:
                self.block(row, column, 4, group)
                return
        for row, column in group:
            self.block(row, column, 2, [(row, column)])

    def block(self, row, column, units, group):
        """Code kind and motion of one block of 4 or 2 units."""
        picture = self.picture
        at = row * picture.columns + column
        stable = sum(self.before[r + 1][c + 1] == SKIPPED for r, c in group) * 2 // len(group)
        kind = self.kind(row, column, units, stable)
        for r, c in group:
            self.kinds[r * picture.columns + c] = kind
            self.kind_field[r + 1][c + 1] = kind
            self.depth[r + 1][c + 1] = 0 if units == 4 else 1
        if kind == INTRA:
            self.modes(row, column, at)
            return
        y, x = 2 * row + 1, 2 * column + 1
        if units == 2 and kind == INTER:
            around = self.kind_field[row + 1][column] == SKIPPED or self.kind_field[row][column + 1] == SKIPPED
            depth = (self.depth[row + 1][column] == 2) + (self.depth[row][column + 1] == 2)
            split = self.flag(picture.split[at], IS_SPLIT, depth, stable, 3 * around + depth, 4)
            picture.split[at] = split
            if split:
                self.depth[row + 1][column + 1] = 2
                for part in range(4):
                    self.motion(y + part // 2, x + part % 2, 1, False)
                return
        self.motion(y, x, units, kind == SKIPPED)

    def kind(self, row, column, units, stable):
        """Code the kind of a block; a big one is not intra."""
        left, above = self.kind_field[row + 1][column], self.kind_field[row][column + 1]
        beyond = column + units // 2
        corner = self.kind_field[row][beyond + 1] if beyond < self.picture.columns else above
        kind = self.kinds[row * self.picture.columns + column]
        around = (left == SKIPPED) + (above == SKIPPED)
        big = int(units == 4)
        skipped = self.flag(
            kind == SKIPPED,
            IS_SKIPPED,
            3 * big + around + 6 * self.finer,
            6 * big + 2 * stable + (corner == SKIPPED) + 12 * self.finer,
            8 * big + 4 * (left == SKIPPED) + 2 * (above == SKIPPED) + (corner == SKIPPED),
            1 + big,
        )
        if skipped:
            return SKIPPED
        if big:
            return INTER
        around = (left == INTRA) + (above == INTRA)
        return INTRA if self.flag(kind == INTRA, IS_INTRA, around, stable, 0, 3) else INTER

    def motion(self, y, x, units, inherited):
        """Code the motion of a block as the choice of one to inherit, or as a difference from it."""
        known = self.known[y][x] or STILL
        options = candidates_at(self.field, self.previous, y, x, units)
        size = units.bit_length() - 1
        if not inherited:
            count = min(len(options), 4)
            inherited = self.flag(known in options, IS_INHERITED, size, count, 4 * size + count - 1, 5)
        if inherited:
            choice = options.index(known) if known in options else 0
        else:
            costs = [motion_bits(known, [other]) + 0.7 * n for n, other in enumerate(options)]
            choice = costs.index(min(costs))
        chosen = 0
        base = CHOICE + 5 * size + 16 * (not inherited)
        while chosen < len(options) - 1 and self.coder.code(int(choice > chosen), base + chosen):
            chosen += 1
        motion = options[chosen]
        if not inherited:
            motion = self.difference(known, motion, size)
        for row in range(y, y + units):
            self.field[row][x : x + units] = [motion] * units

    def difference(self, known, origin, size):
        """Code a motion as a difference from another one."""
        coder = self.coder
        mode, last_y, last_x, older_y, older_x = origin
        other = mode
        if len(self.sequence.frames) > 1:
            if coder.code(int(known[0] != other), MODE + other + 3 * size):
                rest = [m for m in (0, 1, 2) if m != other]
                mode = rest[coder.code(int(known[0] == rest[1]), MODE + 9 + other)]
        if mode != 1:
            last_y += coder.signed(known[1] - last_y, VECTOR)
            last_x += coder.signed(known[2] - last_x, VECTOR + 50)
        if mode:
            base = VECTOR + 100 * mode
            if mode == 2 and other != 2:
                older_y, older_x = clip_vector(2 * last_y), clip_vector(2 * last_x)
            older_y += coder.signed(known[3] - older_y, base)
            older_x += coder.signed(known[4] - older_x, base + 50)
        return complete(mode, last_y, last_x, older_y, older_x)

    def modes(self, row, column, at):
        """Code the intra modes of a macroblock and whether its luma is one block."""
        coder, picture, field = self.coder, self.picture, self.mode_field
        y, x = 2 * row + 1, 2 * column + 1
        picture.large[at] = coder.code(int(picture.large[at]), IS_LARGE)
        for part, (part_y, part_x) in enumerate(((y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1))):
            if part and picture.large[at]:
                picture.modes[at, part] = field[part_y][part_x] = field[y][x]
                continue
            mode = int(picture.modes[at, part])
            left, above = field[part_y][part_x - 1], field[part_y - 1][part_x]
            if coder.code(int(mode == left), SAME_MODE + (left == above)):
                mode = left
            elif left != above and coder.code(int(mode == above), SAME_MODE + 2):
                mode = above
            else:
                mode = coder.number(mode, OTHER_MODE)
            picture.modes[at, part] = field[part_y][part_x] = mode

    def residuals(self, hints):
        """Code the levels of all macroblocks; `hints` is the strength of the prediction."""
        picture = self.picture
        self.busy = [[0] * (2 * picture.columns + 1) for _ in range(2 * picture.rows + 1)]  # levels by quarter
        self.chroma_busy = [[0, 0] for _ in range(picture.columns + 1)]
        self.hints = hints
        self.busy_before = self.sequence.busy
        for at, kind in enumerate(self.kinds):
            row, column = divmod(at, picture.columns)
            if kind == SKIPPED:
                self.chroma_busy[column + 1] = [0, 0]
            else:
                self.residual(row, column, at, kind)

    def energy(self, y, x):
        """Return how busy the quarters to the left and above are, 0 to 3."""
        total = self.busy[y][x - 1] + self.busy[y - 1][x]
        return (total > 0) + (total > 3) + (total > 10)

    def counts(self, y, x):
        """Return how many levels the quarters to the left and above have, as one of nine grades."""
        left, above = self.busy[y][x - 1], self.busy[y - 1][x]
        return 3 * ((left > 1) + (left > 6)) + (above > 1) + (above > 6)

    def was_busy(self, y, x):
        """Return whether the macroblock had levels in the frame before."""
        before = self.busy_before
        return int(before is not None and any(before[y][x : x + 2] + before[y + 1][x : x + 2]))

    def residual(self, row, column, at, kind):
        """Code the levels of a macroblock."""
        picture, busy = self.picture, self.busy
        intra = int(kind == INTRA)
        y, x = 2 * row + 1, 2 * column + 1
        energy = self.energy(y, x)
        around = (self.kind_field[row + 1][column] == SKIPPED) + (self.kind_field[row][column + 1] == SKIPPED)
        size = 1 if picture.split[at] else 4 if picture.big[row // 2, column // 2] else 2
        texture = self.hints.texture(at)
        was = self.was_busy(y, x)
        if not intra:
            ahead = self.kind_field[row][min(column + 2, picture.columns)] == SKIPPED
            contexts = (
                energy + 4 * around + 16 * self.finer,
                texture + 8 * min(size, 3),
                energy + 4 * ahead + 8 * self.finer + 16 * was,
            )
            if not self.flag(picture.luma[at].any() or picture.chroma[at].any(), IS_EMPTY, *contexts, 6):
                self.chroma_busy[column + 1] = [0, 0]
                return
            contexts = energy, size, around + 3 * texture
            picture.large[at] = self.flag(picture.large[at], IS_LARGE + 1, *contexts, 7)
        if picture.large[at]:
            self.whole(y, x, at, intra, (energy + 4 * intra, size + 5 * intra, around + 3 * texture))
        else:
            for part in range(4):
                self.quarter(y + part // 2, x + part % 2, at, part, intra, size, was)
        total = busy[y][x] + busy[y][x + 1] + busy[y + 1][x] + busy[y + 1][x + 1]
        self.chroma(column, at, intra, (total > 0) + (total > 3) + (total > 12), texture)

    def whole(self, y, x, at, intra, contexts):
        """Code the levels of a luma block of 16 x 16."""
        picture, busy = self.picture, self.busy
        count = 0
        if self.flag(picture.luma[at].any(), IS_CODED, *contexts, 8 + intra):
            neighbours = self.energy(y, x), self.hints(at, 16), self.hints.texture(at), self.counts(y, x)
            levels = code_levels(self.coder, picture.luma[at].tolist(), 16, KIND[16] + intra, *neighbours)
            picture.luma[at] = levels
            count = sum(1 for level in levels if level)
        share = (count + 3) // 4
        busy[y][x] = busy[y][x + 1] = busy[y + 1][x] = busy[y + 1][x + 1] = share

    def quarter(self, y, x, at, part, intra, size, was):
        """Code the levels of a luma block of 8 x 8, whole or as four of 4 x 4."""
        picture = self.picture
        energy, texture = self.energy(y, x), self.hints.texture(at, part)
        place = slice(64 * part, 64 * part + 64)
        contexts = 16 + energy + 4 * intra, part + 4 * intra + 8 * was, 24 + texture
        count = 0
        if self.flag(picture.luma[at, place].any(), IS_CODED, *contexts, 12 + intra):
            contexts = energy + 4 * intra, size + 5 * intra, part
            picture.small[at, part] = self.flag(picture.small[at, part], IS_SMALL, *contexts, 14)
            if picture.small[at, part]:
                self.busy[y][x] = self.pieces(y, x, at, part, intra, energy, texture)
                return
            neighbours = energy, self.hints(at, 8, part), texture, self.counts(y, x)
            levels = code_levels(self.coder, picture.luma[at, place].tolist(), 8, KIND[8] + intra, *neighbours)
            picture.luma[at, place] = levels
            count = sum(1 for level in levels if level)
        else:
            picture.small[at, part] = 0
        self.busy[y][x] = count

    def pieces(self, y, x, at, part, intra, energy, texture):
        """Code the levels of four blocks of 4 x 4; return how many there are."""
        picture = self.picture
        hints, counts = self.hints(at, 4, part), self.counts(y, x)
        count = 0
        for piece in range(4):
            first = 64 * part + 16 * piece
            levels = picture.luma[at, first : first + 16]
            contexts = 8 + 4 * intra + piece, 10 + min(count, 3), 8 + energy + 4 * intra
            if self.flag(levels.any(), IS_SMALL, *contexts, 15):
                neighbours = energy, hints[piece], texture, counts
                coded = code_levels(self.coder, levels.tolist(), 4, KIND[4] + intra, *neighbours)
                picture.luma[at, first : first + 16] = coded
                count += sum(1 for level in coded if level)
        return count

    def chroma(self, column, at, intra, energy, texture):
        """Code the levels of both chroma blocks of a macroblock."""
        picture = self.picture
        here = [0, 0]
        left, above = self.chroma_busy[column], self.chroma_busy[column + 1]
        for index in (0, 1):
            first = int(index and here[0] > 0)
            around = (left[index] > 0) + (above[index] > 0)
            contexts = 8 + energy + 4 * intra, 10 + index + 2 * first, 3 + around + 3 * index + 6 * intra
            if self.flag(picture.chroma[at, index].any(), IS_CODED, *contexts, 10 + index):
                hints = self.hints.of_chroma(at, index)
                neighbours = min(3, around + first), hints, texture, energy + 4 * first
                levels = picture.chroma[at, index].tolist()
                levels = code_levels(self.coder, levels, 8, KIND_CHROMA + intra, *neighbours)
                picture.chroma[at, index] = levels
                here[index] = sum(1 for level in levels if level)
        self.chroma_busy[column + 1] = here


# ---- what the prediction tells about the residual -------------------------------------------------

NO_HINTS = [0] * 256
TEXTURE_EDGES = np.array([0.04, 0.08, 0.16, 0.3, 0.6, 1.2, 2.4])  # mean absolute deviation, in steps
HINT_EDGES = np.array([0.5, 1.5, 4.0, 10.0, 25.0])  # coefficient of the prediction, in steps


class Hints:
    """How strong the prediction is at every frequency, 0 to 5, and how busy, 0 to 7; zero where there is none yet."""

    def __init__(self, prediction, picture, step):
        self.number = {}
        here = np.flatnonzero(picture.kinds == INTER)
        if prediction is None or not len(here):
            return
        self.number = {at: n for n, at in enumerate(here.tolist())}
        blocks = split_blocks(prediction[0], 16)[here]
        quarters = quarters_of(blocks)
        self.tables = {8: self.grade(quarters, step).reshape(-1, 4, 64)}
        self.tables[16] = self.grade(blocks, step)
        self.tables[4] = self.grade(quarters_of(quarters), step).reshape(-1, 4, 4, 16)
        self.textures = self.weigh(blocks, step).tolist()
        self.part_textures = self.weigh(quarters, step).reshape(-1, 4).tolist()
        self.chroma = [self.grade(split_blocks(prediction[n], 8)[here], chroma_step(step)) for n in (1, 2)]

    @staticmethod
    def weigh(blocks, step):
        """Return how busy blocks are, 0 to 7."""
        deviation = np.abs(blocks - np.rint(blocks.mean(axis=(1, 2), keepdims=True))).mean(axis=(1, 2))
        return np.searchsorted(TEXTURE_EDGES, deviation * 16 / step)

    @staticmethod
    def grade(blocks, step):
        """Return the grades of all frequencies, (n, size * size)."""
        scaled = np.abs(forward(blocks)).reshape(len(blocks), -1) * 16 / step
        grades = np.searchsorted(HINT_EDGES, scaled.reshape(-1)).reshape(scaled.shape)
        grades[:, 0] = 5
        return grades

    def texture(self, at, part=None):
        """Return how busy the prediction of a macroblock or of its quarter is."""
        n = self.number.get(at)
        if n is None:
            return 0
        return self.textures[n] if part is None else self.part_textures[n][part]

    def __call__(self, at, size, part=None):
        """Return the grades of a luma block: a macroblock, a quarter, or for size 4 the four pieces of a quarter."""
        n = self.number.get(at)
        if n is None:
            return [NO_HINTS] * 4 if size == 4 else NO_HINTS
        return self.tables[size][n if part is None else (n, part)].tolist()

    def of_chroma(self, at, index):
        """Return the grades of a chroma block."""
        n = self.number.get(at)
        return NO_HINTS if n is None else self.chroma[index][n].tolist()


# ---- intra macroblocks ---------------------------------------------------------------------------

SEARCHED_INTRA = 2400  # macroblocks; in larger frames only the first modes are tried, so that a call ends in time
MODE_BITS, SAME_MODE_BITS = 3.0, 0.5  # about what a mode costs, and one like its neighbour's
MODE_WEIGHT = 0.4  # absolute coefficient that a bit of a mode is worth, in steps


def rank_modes(source, samples, size, count, expected, penalty):
    """Return the predictions in all modes, and what each would leave: the sum of coefficients and the mode's bits."""
    predictions = predict_modes(samples, size, count)
    flat = (source[:, None] - predictions).reshape(-1, size * size).astype(np.float32)
    costs = np.abs(flat @ KRONECKER[size]).reshape(len(source), count, -1).sum(axis=2) + MODE_BITS * penalty
    costs[np.arange(len(source)), expected] -= (MODE_BITS - SAME_MODE_BITS) * penalty
    return predictions, costs


class IntraEncoder:
    """Chooses modes, block sizes and levels of intra macroblocks wave by wave, and reconstructs them."""

    def __init__(self, sequence, planes, picture, step, source):
        self.planes, self.picture, self.source, self.step = planes, picture, source, step
        self.penalty = MODE_WEIGHT * step / 16
        self.modes = MODE_COUNT if len(picture.kinds) <= SEARCHED_INTRA else FEW_MODES
        self.quantisers = {size: Quantiser(sequence.model, KIND[size] + 1, size) for size in SIZES}
        self.chroma_quantiser = Quantiser(sequence.model, KIND_CHROMA + 1, 8)

    def encode(self):
        """Encode all waves."""
        for rows, columns in waves(self.picture):
            at = rows * self.picture.columns + columns
            self.encode_luma(at, 16 * rows, 16 * columns)
            for index in (1, 2):
                self.encode_chroma(at, 8 * rows, 8 * columns, index)

    def settle(self, size, residual, prediction):
        """Return levels, costs and reconstruction of blocks, none of which is coded where that does not pay."""
        levels, cost, empty = self.quantisers[size].choose(forward_fast(residual), self.step)
        levels[empty < cost] = 0
        return levels, np.minimum(empty, cost), rebuild(prediction, levels, self.step)

    def best_mode(self, size, top, left, reach, expected):
        """Return mode, levels, cost and reconstruction of blocks of one size."""
        original = get_blocks(self.source[0], top, left, size)
        samples = neighbour_samples(self.planes[0], top, left, size, reach)
        predictions, costs = rank_modes(original, samples, size, self.modes, expected, self.penalty)
        rows = np.arange(len(top))
        modes = np.argmin(costs, axis=1)
        prediction = predictions[rows, modes]
        return modes, *self.settle(size, original - prediction, prediction)

    def encode_luma(self, at, top, left):
        """Encode the luma of the macroblocks of one wave."""
        picture = self.picture
        expected = picture.modes[np.where(left > 0, at - 1, at), 0]
        large = self.best_mode(16, top, left, 32, expected)
        total = np.full(len(at), 4 * RATE_WEIGHT)
        for part, (down, right, reach) in enumerate(QUARTERS):
            y, x = top + down, left + right
            expected, levels, cost, blocks = self.best_mode(8, y, x, reach, expected)
            cost = cost + 0.3 * RATE_WEIGHT
            levels = levels.reshape(-1, 64)
            picture.modes[at, part] = expected
            small_levels, small_cost = self.encode_pieces(y, x, reach, expected)
            small = (small_cost < cost) & small_levels.any(axis=1)
            whole = np.flatnonzero(~small)
            put_blocks(self.planes[0], y[whole], x[whole], blocks[whole])
            picture.small[at, part] = small
            levels = np.where(small[:, None], small_levels, levels)
            cost = np.where(small, small_cost, cost)
            picture.luma[at, 64 * part : 64 * part + 64] = levels
            total += cost
        modes, levels, cost, blocks = large
        large = cost <= total
        picture.large[at] = large
        picture.small[at[large]] = 0
        picture.modes[at[large]] = modes[large, None]
        picture.luma[at[large]] = levels[large].reshape(-1, 256)
        put_blocks(self.planes[0], top[large], left[large], blocks[large])

    def encode_pieces(self, top, left, reach, modes):
        """Encode quarters as four transforms of 4 x 4 in one mode; return levels (n, 64) and costs."""
        total = np.full(len(top), 1.5 * RATE_WEIGHT)
        all_levels = np.zeros((len(top), 64), dtype=np.int32)
        for piece, (down, right) in enumerate(PIECES):
            y, x = top + down, left + right
            samples = neighbour_samples(self.planes[0], y, x, 4, piece_reach(piece, reach))
            prediction = predict_mode(samples, 4, modes)
            residual = get_blocks(self.source[0], y, x, 4) - prediction
            levels, cost, blocks = self.settle(4, residual, prediction)
            total += cost + 0.7 * RATE_WEIGHT
            all_levels[:, 16 * piece : 16 * piece + 16] = levels.reshape(-1, 16)
            put_blocks(self.planes[0], y, x, blocks)
        return all_levels, total

    def encode_chroma(self, at, top, left, index):
        """Encode one chroma plane of the macroblocks of one wave, in the mode of their first quarter."""
        step = chroma_step(self.step)
        samples = neighbour_samples(self.planes[index], top, left, 8, 16)
        prediction = predict_mode(samples, 8, self.picture.modes[at, 0])
        residual = get_blocks(self.source[index], top, left, 8) - prediction
        levels, cost, empty = self.chroma_quantiser.choose(forward_fast(residual), step)
        levels[empty < cost + RATE_WEIGHT] = 0
        self.picture.chroma[at, index - 1] = levels.reshape(-1, 64)
        put_blocks(self.planes[index], top, left, rebuild(prediction, levels, step))


def rebuild(prediction, levels, step):
    """Return the samples of blocks from their prediction and levels."""
    return (prediction + inverse(dequantise(levels, step))).clip(0, 255)


def decode_intra(planes, picture, step):
    """Reconstruct the intra macroblocks wave by wave from their modes and levels."""
    for rows, columns in waves(picture):
        at = rows * picture.columns + columns
        large = picture.large[at] == 1
        if large.any():
            decode_block(planes[0], at[large], 16 * rows[large], 16 * columns[large], picture, 0, 16, 32, step)
        others = np.flatnonzero(~large)
        for part, (down, right, reach) in enumerate(QUARTERS):
            decode_quarters(planes[0], at[others], rows[others], columns[others], picture, part, step)
        for index in (1, 2):
            samples = neighbour_samples(planes[index], 8 * rows, 8 * columns, 8, 16)
            levels = picture.chroma[at, index - 1].reshape(-1, 8, 8)
            prediction = predict_mode(samples, 8, picture.modes[at, 0])
            put_blocks(planes[index], 8 * rows, 8 * columns, rebuild(prediction, levels, chroma_step(step)))


def decode_quarters(plane, at, rows, columns, picture, part, step):
    """Reconstruct one quarter of macroblocks that do not need each other."""
    down, right, reach = QUARTERS[part]
    top, left = 16 * rows + down, 16 * columns + right
    small = picture.small[at, part] == 1
    if small.any():
        for piece, (y, x) in enumerate(PIECES):
            first = 64 * part + 16 * piece
            near = piece_reach(piece, reach)
            decode_block(plane, at[small], top[small] + y, left[small] + x, picture, first, 4, near, step)
    at, top, left = at[~small], top[~small], left[~small]
    if len(at):
        decode_block(plane, at, top, left, picture, 64 * part, 8, reach, step)


def decode_block(plane, at, top, left, picture, first, size, reach, step):
    """Reconstruct blocks whose levels start at `first` among those of their macroblocks."""
    samples = neighbour_samples(plane, top, left, size, reach)
    prediction = predict_mode(samples, size, picture.modes[at, first // 64])
    levels = picture.luma[at, first : first + size * size].reshape(-1, size, size)
    put_blocks(plane, top, left, rebuild(prediction, levels, step))


# ---- inter macroblocks ---------------------------------------------------------------------------


def choose_kinds(picture, source, prediction, step):
    """Let macroblocks that earlier frames do not explain be predicted within the frame."""
    picture.kinds[:] = INTER
    difference = split_blocks(source[0] - prediction[0], 16)
    costs = np.abs(difference).sum(axis=(1, 2))
    shared = picture.big.repeat(2, axis=0).repeat(2, axis=1)[: picture.rows, : picture.columns].reshape(-1)
    doubtful = np.flatnonzero((costs > 256 + 16 * step) & (shared == 0))
    if not len(doubtful):
        return
    rows, columns = np.divmod(doubtful, picture.columns)
    size = 16
    samples = neighbour_samples(source[0], 16 * rows, 16 * columns, size, 2 * size)  # of the source: a guess
    blocks = get_blocks(source[0], 16 * rows, 16 * columns, size)
    remains = np.abs(blocks[:, None] - predict_modes(samples, size, FEW_MODES)).sum(axis=(2, 3)).min(axis=1)
    remains *= (16 // size) ** 2
    intra = doubtful[remains + VECTOR_WEIGHT * step < costs[doubtful]]
    picture.kinds[intra] = INTRA
    picture.split[intra] = 0
    for at in intra.tolist():
        y, x = 2 * (at // picture.columns) + 1, 2 * (at % picture.columns) + 1
        for row in (y, y + 1):
            picture.field[row][x : x + 2] = [None, None]


class InterEncoder:
    """Chooses transforms and levels of all macroblocks that are predicted from earlier frames, in one batch."""

    def __init__(self, sequence, prediction, picture, step, source):
        self.model, self.picture, self.step = sequence.model, picture, step
        self.here = np.flatnonzero(picture.kinds != INTRA)
        self.residuals = [
            split_blocks(source[index] - prediction[index], size)[self.here] for index, size in enumerate((16, 8, 8))
        ]

    def encode(self):
        """Write levels and sizes into the picture."""
        here, picture = self.here, self.picture
        if not len(here):
            return
        luma, cost, empty = self.luma()
        chroma = []
        for index in (1, 2):
            levels, plane_cost, plane_empty = self.settle(
                KIND_CHROMA, self.residuals[index], chroma_step(self.step), 2.0, 0.0
            )
            chroma.append(levels.reshape(-1, 64))
            cost = cost + plane_cost
            empty = empty + plane_empty
        some = cost + RATE_WEIGHT * 2.5 < empty
        picture.luma[here] = np.where(some[:, None], luma, 0)
        picture.large[here] &= some
        picture.small[here] &= some[:, None]
        for index in (0, 1):
            picture.chroma[here, index] = np.where(some[:, None], chroma[index], 0)

    def settle(self, kind, residuals, step, coded_bits, empty_bits):
        """Return levels, costs and costs without levels of blocks, none of which is coded where that does not pay."""
        quantiser = Quantiser(self.model, kind, residuals.shape[-1])
        levels, cost, empty = quantiser.choose(forward_fast(residuals), step)
        cost = cost + RATE_WEIGHT * coded_bits
        keep = cost < empty
        levels[~keep] = 0
        return levels, np.where(keep, cost, empty + RATE_WEIGHT * empty_bits), empty

    def luma(self):
        """Return the levels of luma (n, 256), their costs and those without levels."""
        picture, here = self.picture, self.here
        blocks = self.residuals[0]
        quarters = quarters_of(blocks)
        levels, cost, empty = self.settle(KIND[8], quarters, self.step, 0.5, 0.0)
        pieces, pieces_cost, _ = self.settle(KIND[4], quarters_of(quarters), self.step, 0.8, 0.8)
        pieces_cost = pieces_cost.reshape(-1, 4).sum(axis=1) + RATE_WEIGHT * 2.5
        small = pieces_cost < cost
        levels = np.where(small[:, None], pieces.reshape(-1, 64), levels.reshape(-1, 64))
        coded = np.minimum(pieces_cost, cost) + RATE_WEIGHT * 1.0
        keep = coded < empty
        levels = np.where(keep[:, None], levels, 0)
        small &= keep & levels.any(axis=1)
        cost = np.where(keep, coded, empty + RATE_WEIGHT * 0.6)
        picture.small[here] = small.reshape(-1, 4)
        levels, cost = levels.reshape(-1, 256), cost.reshape(-1, 4).sum(axis=1)
        empty = empty.reshape(-1, 4).sum(axis=1)
        large_levels, large_cost, _ = self.settle(KIND[16], blocks, self.step, 1.0, 0.0)
        large = large_cost <= cost
        picture.large[here] = large
        picture.small[here[large]] = 0
        levels = np.where(large[:, None], large_levels.reshape(-1, 256), levels)
        cost = np.minimum(large_cost, cost)
        return levels, cost, empty


def mark_skipped(sequence, picture):
    """Mark the blocks that need neither levels nor a motion of their own."""
    some = picture.luma.any(axis=1) | picture.chroma.any(axis=(1, 2))
    field = [[None] * len(row) for row in picture.field]
    for group in macroblock_groups(picture):
        shared = len(group) == 4 and picture.big[group[0][0] // 2, group[0][1] // 2]
        for blocks in [group] if shared else [[block] for block in group]:
            at = [row * picture.columns + column for row, column in blocks]
            if picture.kinds[at[0]] == INTRA:
                continue
            row, column = blocks[0]
            units = 4 if shared else 2
            y, x = 2 * row + 1, 2 * column + 1
            plain = not some[at].any() and not picture.split[at[0]]
            if plain and picture.field[y][x] in candidates_at(field, sequence.previous, y, x, units):
                picture.kinds[at] = SKIPPED
            for down in range(units):
                field[y + down][x : x + units] = picture.field[y + down][x : x + units]


def residual_blocks(levels, step):
    """Return the samples of levels (n, size, size), computed only where there are any."""
    samples = np.zeros(levels.shape, dtype=np.int32)
    some = np.flatnonzero(levels.any(axis=(1, 2)))
    if len(some):
        samples[some] = inverse(dequantise(levels[some], step))
    return samples


def reconstruct_inter(prediction, picture, step):
    """Return the planes of prediction and residual; intra macroblocks are filled in later."""
    rows, columns = picture.rows, picture.columns
    inter = (picture.kinds == INTER)[:, None]
    luma = np.where(inter, picture.luma, 0)
    small = picture.small.reshape(-1) == 1
    quarters = residual_blocks(np.where(small[:, None], 0, luma.reshape(-1, 64)).reshape(-1, 8, 8), step)
    if small.any():
        quarters[small] = whole_of(residual_blocks(luma.reshape(-1, 64)[small].reshape(-1, 4, 4), step))
    residual = whole_of(quarters)
    large = picture.large == 1
    residual[large] = residual_blocks(luma[large].reshape(-1, 16, 16), step)
    planes = [(prediction[0] + join_blocks(residual, 16 * rows, 16 * columns)).clip(0, 255)]
    for index in (1, 2):
        levels = np.where(inter, picture.chroma[:, index - 1], 0).reshape(-1, 8, 8)
        samples = residual_blocks(levels, chroma_step(step))
        planes.append((prediction[index] + join_blocks(samples, 8 * rows, 8 * columns)).clip(0, 255))
    return planes


# ---- deblocking ----------------------------------------------------------------------------------


def visible_edges(picture):
    """Return by unit whether its left and its upper edge may show, (rows, columns) each."""
    rows, columns = picture.rows, picture.columns
    active = (picture.kinds == INTRA) | picture.luma.any(axis=1)
    active = active.reshape(rows, columns).repeat(2, axis=0).repeat(2, axis=1)
    inner = (picture.large == 0).reshape(rows, columns).repeat(2, axis=0).repeat(2, axis=1)
    motion = picture.motion()
    edges = []
    for axis in (1, 0):
        before = np.roll(active, 1, axis=axis)
        odd = (np.arange(active.shape[axis]) % 2 == 1).reshape((1, -1) if axis == 1 else (-1, 1))
        show = (active | before) & (inner | ~odd)
        other = np.roll(motion, 1, axis=axis)
        show |= np.abs(motion - other)[..., 1:].max(axis=2) >= PEL
        show |= motion[..., 0] != other[..., 0]
        edges.append(show)
    return edges


def smooth_edges(plane, show, step):
    """Return a plane with the steps across its horizontal edges, every eight rows, softened where they are small."""
    plane = plane.copy()
    at = np.arange(8, plane.shape[0], 8)
    show = show[1:].repeat(plane.shape[1] // show.shape[1], axis=1)
    outer, inner = plane[at - 2], plane[at - 1]
    first, second = plane[at], plane[at + 1]
    limit = max(1, int(DEBLOCKING * step / 16))
    change = (9 * (first - inner) - 3 * (second - outer) + 8) >> 4
    flat = (np.abs(inner - outer) + np.abs(first - second)) < limit + 2
    change = np.where(show & flat & (np.abs(first - inner) < 4 * limit), change.clip(-limit, limit), 0)
    plane[at - 1] = (inner + change).clip(0, 255)
    plane[at] = (first - change).clip(0, 255)
    return plane


def deblock(planes, picture, step):
    """Return the planes with block edges softened; the next frame is predicted from the result."""
    left, upper = visible_edges(picture)
    smoothed = []
    for index, plane in enumerate(planes):
        every = 2 if index else 1  # a chroma block covers two units
        plane = smooth_edges(plane.T, left.T[::every], step).T
        smoothed.append(np.ascontiguousarray(smooth_edges(plane, upper[::every], step)))
    return smoothed


# ---- trained loop filter -------------------------------------------------------------------------
#
# Every sample of luma is moved by a weighted sum of features: clipped differences to samples around it and to the
# prediction. The weights depend on the class of its 4 x 4 block and on the step; they are least squares on the
# training clips. All features and weights are integers, so the sums in single precision are exact.

OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (1, 2), (2, 1), (2, -1), (1, -2), (0, 3), (3, 0))
FEATURES = 2 * len(OFFSETS) + 1
CLASSES = 36  # 2 by residual, 6 by busyness, 3 by direction
BUSY_EDGES = np.array([0.15, 0.4, 0.9, 1.8, 4.0])  # mean second difference, in steps
STEP_EDGES = (96, 192, 384)  # between the groups of steps, in sixteenths
UNIT_SHIFT = 8  # weights count in 1/256
STRENGTHS = 3  # none, half and all of the correction


def filter_features(plane, prediction, step):
    """Return the features, (FEATURES, height, width)."""
    padded = np.pad(plane, 3, mode="edge").astype(np.float32)
    height, width = plane.shape
    centre = padded[3 : 3 + height, 3 : 3 + width]
    features = np.empty((FEATURES, height, width), dtype=np.float32)
    narrow, wide = 1 + (step + 32) // 64, 4 + (step + 8) // 16
    for n, (y, x) in enumerate(OFFSETS):
        one = padded[3 + y : 3 + y + height, 3 + x : 3 + x + width] - centre
        other = padded[3 - y : 3 - y + height, 3 - x : 3 - x + width] - centre
        features[2 * n] = np.clip(one, -narrow, narrow) + np.clip(other, -narrow, narrow)
        features[2 * n + 1] = np.clip(one, -wide, wide) + np.clip(other, -wide, wide)
    features[-1] = np.clip(prediction - centre, -wide, wide)
    return features


def filter_classes(plane, coded, step):
    """Return the class of every 4 x 4 block; `coded` tells by unit whether it has a residual or is intra."""
    height, width = plane.shape
    across = np.zeros_like(plane)
    down = np.zeros_like(plane)
    across[:, 1:-1] = np.abs(2 * plane[:, 1:-1] - plane[:, :-2] - plane[:, 2:])
    down[1:-1] = np.abs(2 * plane[1:-1] - plane[:-2] - plane[2:])
    across = across.reshape(height // 4, 4, width // 4, 4).sum(axis=(1, 3))
    down = down.reshape(height // 4, 4, width // 4, 4).sum(axis=(1, 3))
    busy = (across + down) / step
    grade = np.searchsorted(BUSY_EDGES, busy.reshape(-1)).reshape(busy.shape)
    direction = np.where(across > 2 * down, 1, np.where(down > 2 * across, 2, 0))
    return (coded.repeat(2, axis=0).repeat(2, axis=1) * 6 + grade) * 3 + direction


def coded_units(picture):
    """Return by unit whether it has a residual or is intra."""
    rows, columns = picture.rows, picture.columns
    some = picture.luma.reshape(-1, 4, 64).any(axis=2)
    some |= ((picture.large == 1) & picture.luma.any(axis=1))[:, None]
    some |= (picture.kinds == INTRA)[:, None]
    return some.reshape(rows, columns, 2, 2).swapaxes(1, 2).reshape(2 * rows, 2 * columns).astype(np.int64)


FILTER = (
    "{Wp48S^xk9=GL@E0stWa8~^|S5YJf5;0_N6v0VTFZ~gq8E!72q!xK5Bg1^0a!8sn^e@NlE`$pBUvy#rmR0Y*eVXZI5^<Q-yq4_^z"
    "j7q|_Ffm;U<-#u>Ijr1CxsA06fexR<>5>#OXzg^GA$-nRSIjCpecbAcmnpPEia*OMORx(}ztHn$FOY}XhSgrQ5+)fcL|0&{_iB2x"
    "2!m<dSBS3;yw0gdCa)~%)`@ygPWZ-N!!}4@ZO(8;6I2icy>JA|`FkSg^mOvJf4)k*)wUgg;n>5^hM<j-oxw)yt~;a12%)e<QMEI%"
    "aczR1aCZE!zcan!L_*I-dOZlgw8LC+MR(@f<@5gzLR9+b@G2?#K3A&!yrWczk)<-(6}<onOYn#2k3&H*%Jkh1k@>5E(gs`T9uV`4"
    "etF|^|L~nOjjD+&X4GRA0tSa5BTzCQ>sC{!U)#@E#)~I6YUgV<k095nft%`CYF(N~qz;0m{TSg8+K1n-!j<$!__)dhH+**yE@mxY"
    "6_mX>^(QEjjI4ikK=-21J9W*WgvI0Id20tq75w-1O&=9SN9qH|tx!DvaxjIgjmL77_80=c&>oujc8_$aiN$y8=MORJ(k4BR2=C>m"
    "=E;uM<p;kN?7c%2agn%{dB0B<p9Ng>%)O8^gb9xQ41xO?5b@m5E)`G&&0Yw*ligX&(i6h}^Z&S7mpFiDvoEpubLqy8JPufs<UGT<"
    "oX?m14rp}f-oK4M82V|6KcQJ+y~)l&y2ed9{|Amfk^B^N#@R8m#NCY8fc?Hc<`4X&v7Xc*i47Kb#?s>glyn@r4jd?I{_rgWL9|6D"
    "{gD*@`Q#rZnzvkeEu7>W4zid8Gsn3Rwa47yEXMFl2P~ffPXV>0Vcj(#oruw|$Kh|waoOISCFX+EP{Hl8tvRQ|;<_=~V+K~(Zp?e;"
    "-aqpt+$lC6`Ood_HG$Yp4|x3MAxh@_*Bi=ej48-XdfFQ<!qbB(yRbL1sKYv@oIF*MA~sGR3fiH&(}k;Pz^SA6)^B4h&=X%$rrT)1"
    "v9agKIFpQ1i^4v&QO{dwk0QbP8vvv>*7F)V(ldiJ=EdL$%ZA*Mgf)iAHq@v-f=K1OED&D`U70qgLk9+sw8$GlCh}Vhmw8^Bg%L}K"
    "4F=+G-uZ;oW^7CHmBg0gA0uqaojHy6OA+D2rXM)l2!W1Bo`M9P^<#i&s;hRXOCAIz;n#d-y%RqDAnEEMwV3TNWKkOCK8IQ@d7JMa"
    "od2ZCads1ehS~W%8t_U1VFAi_+zNZ0jJM*kA->$#D|tymBZjMEEQ~eFF`&S*p!IZ+V5H*UVemgxO4{KVh*)jwa?VcNEr}-BXzR6F"
    "Q@eW8=A25dGn6A#XV-0mLcYT14Aju0cMN<%)!%jGLy29Y(q20-B2bWVZ7i_!mRud{ix8Ux20i~)gfqF>eaZ3vroNUQxUS>NzyXIl"
    "vJM4nCve!|1<`wNrf8mUQWmv>YP|BZGM|QzdUOfE4I+n4e1!p2erV<gcP)N@#QgDq2NT~m4NO$C1LUNgofainob7#y<s*|bSa#a4"
    "fZY{MVzuaWv>0_&Y|<Et6~+TU^t#zF1{gQMQj&DIoqX2}18sJHL)bt+TKj2guL@ijQ#o-!5;`eKX5}PUjcumNj}zLOl<YQl_6b7E"
    "{EBG=?OFjo&t$O&&~km|MZUj8W46?&ejE@)vh;5S4@#>yHK7HuaRKAt6rg*#8vKH0Mb*W}wy^pEDKrFNpipeh$uZq4%ukJe1Rr5E"
    "yegq5vQV~u_{v(B?vy<E0wuULC@*7!p)#7&Lq0V26T1%P_1-Q3+R7)kJhi30qpyRABE|I2aL%JXwQ}b_PZwOsE9YHL%Qn#$_<1H0"
    "K|TwWo}Jq40iJUY;2N)^F<JsaZl>5F>?a<7_M?1OFhtQiBIq7zG8={NW~3o1-;~$?LWkV|Na0K=xo?IAK2^CGe(y6w&pFh8LjoE5"
    "@~EI#v$$T@A2#?2Lllyr${!rK(<=9i#FSjL0%UDevHZ8Wfr-3Q|I4ly9?oPyU4CT(GVM|=l8B_yRR^|Ko_cX`{Q=Y<Kk1eIE1!vJ"
    "wigvI9c`vv6jlItkyOYGwD$N0^BNe@bWw#si|~7zncT;=gBki0dXcx0eC<+aXo5g2=L*DSBN}FoW~mlT0XpOKlnf2e!($Xj&3SS-"
    "rv2*-Vkt8a5|R>iRNyctIK5kFPp8=Gs%U*z%F&6eazl(2ws`9dpHyGRTUnEl-s*Jo<?8UWCngb33D#8kdQk<yJV+*nPzOP+F-VIE"
    "fe!=L#b$u_v}xz^e`Wu@1=*$5xn+sP+1?Wq5RrS8>k^r*&!WRK_(B9%52o$Wa-xdkCnsK4!^<qnd-WudL9r|#Ec|c&A^Qo&oXYpx"
    "o@+^#X|R%7n4**TV5SsRC7y=F_3!b8W*BgP?d$!_fj)t&)i#v9b7F0AH*B%Km_On~+=!O<p9%oh%;`{um6ZgOyuyP|!$vy;dGRv<"
    "&2=B?%a57Z%m~R?)<Ap8o|IauaVx*@tnxUmwYW%Iu}_Vd<pdRYZa5kGnq#)9EnQbdnH9f2*`HN)U~rw8*%I*btgvE3p3u<1Yx#<4"
    "!URrCLpyd`v>yhib`^F#56zT$mQ6$fc(c>cT$l_y$|A09z)riTAi2x=dd$TN-g4;`>IslolTD3MsryHe2D5z!$Jv}=f2hiw%`y;9"
    "%GiR-TBlC?O1e+7QXaWq>8tNUvzZmuw|N@$*ge@)IVcoNZW{>`w~a*k6*~I~K!H=Iy*Fj$>l#u|l}##41hb8K+IJf*hf!R47uLzs"
    "(cop?rGzu=UH<d<2VyN5!EvX&%qVx3B#N480mh3wl<Go&J+<x}2S(2?=n_rWWj|TvH8y4a!7aC8F<h_ggUfh<)u?Z#{BEV-{V{p^"
    "K`@;_7+EIR26aP?$;QY400000RIG{x)ac(~00GSrkQ@L2HQe8uvBYQl0ssI200dcD"
)
"""Weights by group of steps, class and feature, int8."""

WEIGHTS = np.frombuffer(lzma.decompress(base64.b85decode("".join(FILTER))), dtype=np.int8)
WEIGHTS = WEIGHTS.reshape(-1, CLASSES, FEATURES).astype(np.float32)


def filter_correction(plane, prediction, coded, step):
    """Return what the filter would add to a luma plane, in 1/256 of a sample."""
    group = sum(step > edge for edge in STEP_EDGES)
    classes = filter_classes(plane, coded, step).repeat(4, axis=0).repeat(4, axis=1)
    total = np.zeros(plane.shape, dtype=np.float32)
    for feature, weights in zip(filter_features(plane, prediction, step), WEIGHTS[group].T):
        total += feature * weights[classes]
    return total.astype(np.int32)


def strengthen(plane, correction, strength):
    """Return a plane moved by a share of a correction."""
    shift = UNIT_SHIFT + 1
    return (plane + ((correction * strength + (1 << (shift - 1))) >> shift)).clip(0, 255)


def apply_filter(sequence, picture, planes, prediction, step, coder, source):
    """Filter luma with the strength that the encoder, which knows the source, finds best and codes."""
    luma = planes[0]
    if prediction is None:
        expected = luma
    else:
        intra = (picture.kinds == INTRA).reshape(picture.rows, picture.columns)
        expected = np.where(intra.repeat(16, axis=0).repeat(16, axis=1), luma, prediction[0])
    correction = filter_correction(luma, expected, coded_units(picture), step)
    strength = 0
    if source is not None:
        errors = [float(np.square(source[0] - strengthen(luma, correction, n)).sum()) for n in range(STRENGTHS)]
        strength = errors.index(min(errors))
    if coder.code(int(strength > 0), FILTER_STRENGTH):
        strength = 1 + coder.code(int(strength > 1), FILTER_STRENGTH + 1)
        planes = [strengthen(luma, correction, strength), *planes[1:]]
    return planes


# ---- large frames: plain blocks, so that a call ends in time --------------------------------------


def plain_blocks(planes):
    """Return all 8 x 8 blocks of three planes, (n, 8, 8)."""
    return np.concatenate([split_blocks(plane, 8) for plane in planes])


def plain_planes(blocks, height, width):
    """Return the planes that blocks make: the inverse of `plain_blocks`."""
    count = height * width // 64
    luma = join_blocks(blocks[:count], height, width)
    blue = join_blocks(blocks[count : count + count // 4], height // 2, width // 2)
    red = join_blocks(blocks[count + count // 4 :], height // 2, width // 2)
    return [luma, blue, red]


def encode_plain(sequence, source, step):
    """Return the packet of a large frame and remember it: each block differs from the last frame's, or from grey."""
    blocks, before = plain_blocks(source), plain_blocks(sequence.planes or grey_planes(sequence))
    difference, whole = forward(blocks - before), forward(blocks - 128)
    changed = np.abs(difference).sum(axis=(1, 2)) > np.abs(whole).sum(axis=(1, 2))
    expected = np.where(changed[:, None, None], 128, before)
    scaled = np.where(changed[:, None, None], whole, difference) * 16 / step
    levels = (np.sign(scaled) * np.floor(np.abs(scaled) + 0.4)).astype(np.int32)
    folded = np.where(levels > 0, 2 * levels - 1, -2 * levels).reshape(-1, 64).T  # by frequency
    halves = [(folded & 255).astype(np.uint8).tobytes(), (folded >> 8).astype(np.uint8).tobytes()]
    remember_plain(sequence, expected, levels, step)
    return zlib.compress(b"".join([np.packbits(changed).tobytes(), *halves]), 5)


def decode_plain(sequence, data, step):
    """Remember the frame that `encode_plain` packed."""
    before = plain_blocks(sequence.planes or grey_planes(sequence))
    count = len(before)
    symbols = np.frombuffer(zlib.decompress(data), dtype=np.uint8).astype(np.int32)
    flags = -(-count // 8)
    changed = np.unpackbits(symbols[:flags].astype(np.uint8))[:count] == 1
    low, high = symbols[flags:].reshape(2, 64, count)
    folded = (low + 256 * high).T.reshape(-1, 8, 8)
    levels = np.where(folded % 2 == 1, (folded + 1) // 2, -(folded // 2))
    remember_plain(sequence, np.where(changed[:, None, None], 128, before), levels, step)


def remember_plain(sequence, expected, levels, step):
    """Keep the reconstruction of a large frame."""
    blocks = (expected + inverse(dequantise(levels, step))).clip(0, 255)
    sequence.planes = plain_planes(blocks, 16 * sequence.rows, 16 * sequence.columns)


# ---- codec ---------------------------------------------------------------------------------------


class Sequence:
    """What one side remembers from frame to frame."""

    def __init__(self):
        self.begin(0, 0)

    def begin(self, height, width):
        """Forget everything; a new sequence of this size starts."""
        self.height, self.width = height, width
        self.rows, self.columns = -(-height // 16), -(-width // 16)
        self.planes = None
        self.kind_field = self.busy = None
        self.step, self.finer = 0, False
        self.model = Model()
        self.frames, self.fractions = [], []
        self.is_finer = self.was_finer = False
        self.previous = [[None] * (2 * self.columns + 3) for _ in range(2 * self.rows + 3)]

    def take_step(self, step):
        """Note the step of the next frame and whether it is finer than the last one."""
        self.finer, self.step = step < self.step, step

    def remember(self, planes, syntax):
        """Keep the reconstruction of a frame and its symbols; the next frames are predicted from it."""
        self.planes = planes
        self.kind_field, self.busy = syntax.kind_field, syntax.busy
        self.previous = syntax.field
        kept = 0 if self.was_finer or len(self.frames) < 2 else 1  # the last frame, or the finer one before it
        self.frames = [planes, *self.frames[kept : kept + 1]]
        self.fractions = [fraction_planes(planes[0]), *self.fractions[kept : kept + 1]]
        self.was_finer = self.is_finer


SENT = Sequence()
RECEIVED = Sequence()


def grey_planes(sequence):
    """Return planes to predict nothing from."""
    return [np.full((size * sequence.rows, size * sequence.columns), 128) for size in (16, 8, 8)]


def encode_picture(sequence, source, step):
    """Return all symbols of a frame, its prediction (None without an earlier frame) and its reconstruction."""
    picture = Picture(sequence.rows, sequence.columns)
    if sequence.frames:
        found = search_motion(sequence, source[0], step)
        Decider(sequence, picture, source[0], found, step).decide()
        prediction = predict_planes(sequence, picture.motion())
        choose_kinds(picture, source, prediction, step)
        if (picture.kinds == INTRA).any():
            prediction = predict_planes(sequence, picture.motion())  # as the decoder will see it
        InterEncoder(sequence, prediction, picture, step, source).encode()
        mark_skipped(sequence, picture)
        planes = reconstruct_inter(prediction, picture, step)
        IntraEncoder(sequence, planes, picture, step, source).encode()
        return picture, prediction, planes
    planes = grey_planes(sequence)
    IntraEncoder(sequence, planes, picture, step, source).encode()
    return picture, None, planes


def finish_picture(sequence, picture, planes, step, syntax, prediction, source=None):
    """Remember the reconstruction of a frame, filtered; the encoder knows the source."""
    planes = deblock(planes, picture, step)
    planes = apply_filter(sequence, picture, planes, prediction, step, syntax.coder, source)
    sequence.remember(planes, syntax)


def weigh_bits(frame_index):
    """Set what a bit is worth in the decisions on a frame; the decoder needs no such weight."""
    global RATE_WEIGHT
    RATE_WEIGHT = 0.09 * (FINER_WEIGHT if frame_index % CASCADE == 0 else OTHER_WEIGHT)


def compress_video_frame(frame, frame_index, config):
    """Return the packet of one RGB frame (height, width, 3) uint8; frame 0 starts a new sequence."""
    sequence = SENT
    if frame_index == 0 or sequence.planes is None:
        sequence.begin(frame.shape[0], frame.shape[1])
    header = struct.pack("<HH", sequence.height, sequence.width) if sequence.planes is None else b""
    step = quantiser_step(config, frame_index)
    sequence.take_step(step)
    sequence.is_finer = frame_index % CASCADE == 0
    source = split_planes(frame, 16 * sequence.rows, 16 * sequence.columns)
    if source[0].size > MOST_SAMPLES:
        return header + encode_plain(sequence, source, step)
    weigh_bits(frame_index)
    coder = RangeEncoder(sequence.model)
    picture, prediction, planes = encode_picture(sequence, source, step)
    syntax = FrameSyntax(coder, picture, sequence)
    syntax.walk(bool(sequence.frames))
    syntax.residuals(Hints(prediction, picture, step))
    finish_picture(sequence, picture, planes, step, syntax, prediction, source)
    return header + (coder.finish() or b"\0")


def decompress_video_frame(data, frame_index, config):
    """Return the RGB frame of one packet."""
    sequence = RECEIVED
    if frame_index == 0 or sequence.planes is None:
        sequence.begin(*struct.unpack("<HH", data[:4]))
        data = data[4:]
    step = quantiser_step(config, frame_index)
    sequence.take_step(step)
    sequence.is_finer = frame_index % CASCADE == 0
    if 256 * sequence.rows * sequence.columns > MOST_SAMPLES:
        decode_plain(sequence, data, step)
        return join_planes(sequence.planes, sequence.height, sequence.width)
    coder = RangeDecoder(sequence.model, data)
    picture = Picture(sequence.rows, sequence.columns)
    syntax = FrameSyntax(coder, picture, sequence)
    syntax.walk(bool(sequence.frames))
    prediction = predict_planes(sequence, picture.motion()) if sequence.frames else None
    syntax.residuals(Hints(prediction, picture, step))
    planes = grey_planes(sequence) if prediction is None else reconstruct_inter(prediction, picture, step)
    decode_intra(planes, picture, step)
    finish_picture(sequence, picture, planes, step, syntax, prediction)
    return join_planes(sequence.planes, sequence.height, sequence.width)
