"""How float32 is computed whenever a module is called, as a program that chose TF32 sees it."""

from contextlib import contextmanager

import torch
from torch.backends import cuda, cudnn, mkldnn
from torch.nn.modules.module import register_module_forward_pre_hook

OPERATIONS = (cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn)


def settings():
    """Every setting that decides how float32 is computed."""
    return (
        *(item.fp32_precision for item in OPERATIONS),
        *(torch.get_float32_matmul_precision(), cudnn.allow_tf32),
        *(cudnn.deterministic, cudnn.benchmark),
    )


FULL = ("ieee",) * 6 + ("highest", False, True, False)


def fast():
    """What a training script sets to be quick, by torch's older interface."""
    torch.set_float32_matmul_precision("medium")
    cudnn.allow_tf32 = True
    cudnn.benchmark = True


@contextmanager
def as_before():
    """Put every setting back at the end."""
    operations = [item.fp32_precision for item in OPERATIONS]
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32 = True
        cudnn.deterministic, cudnn.benchmark = False, False
        for item, precision in zip(OPERATIONS, operations, strict=True):
            item.fp32_precision = precision


@contextmanager
def seen_by_models():
    """The set of settings that modules were called under, in a program that chose to be fast."""
    seen = set()
    with as_before():
        fast()
        before = settings()
        hook = register_module_forward_pre_hook(lambda _module, _inputs: seen.add(settings()))
        try:
            yield seen
        finally:
            hook.remove()
        assert settings() == before
