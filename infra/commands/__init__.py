"""The commands of `codec-evolution`, one module a topic; `infra.cli` mounts them flat."""
