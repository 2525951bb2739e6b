"""Our own CUDA kernels, and what decides between them and PyTorch's.

`rollouts` does all steps of rollouts in one launch each way, `pointwise` bias and leaky ReLU of
convolutions in bf16; each says in `suits` what it can do, and whoever calls it asks there first.
`cuda` compiles and starts their sources, the `.cu` files beside them, and `shapes` says what
those of rollouts are compiled for.
"""

from hgn_train.gpu.cuda import plain_calls

__all__ = ["plain_calls"]
