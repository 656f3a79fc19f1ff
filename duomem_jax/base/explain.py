"""The last resort: errors that nobody explained where they arose, as one sentence each."""

import os
from collections.abc import Iterator
from types import TracebackType

from duomem_jax.base.errors import first_line

# By name: this must not import JAX, and its errors have had several names.
_XLA_ERRORS = ("XlaRuntimeError", "JaxRuntimeError")
# Settings for hunting defects, by what names the errors that they cause.
_ODD_SETTINGS = {
    "TypePromotionError": "JAX_NUMPY_DTYPE_PROMOTION",
    "Disable jit": "JAX_DISABLE_JIT",
}


def explain(error: Exception) -> str | None:
    """What a user can do about an error that names no remedy; None: it is a defect of ours."""
    if is_out_of_memory(error):
        return (
            f"out of memory ({first_line(error)}); ask for less at once (fewer slots, shorter "
            "conversations or rows, a smaller batch), quantize the model, or use a larger machine"
        )
    if setting := _bad_jax_setting(error):
        return setting
    if isinstance(error, OSError) and error.filename is not None:
        why = os.strerror(error.errno) if error.errno else first_line(error)
        return f"{os.fsdecode(error.filename)}: {why}; check the path, its permissions and its disk"
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine's or a device's memory did not suffice."""
    if isinstance(error, MemoryError):
        return True
    # Not of any other library: for a full disk some have the same code.
    return type(error).__name__ in _XLA_ERRORS and "RESOURCE_EXHAUSTED" in str(error)


def _bad_jax_setting(error: Exception) -> str | None:
    """A variable of the environment that JAX cannot start with."""
    # JAX says it in errors of many classes, some of them without a word.
    *_, raised_in = ["", *_files(error.__traceback__)]
    said = f" ({first_line(error)})" if str(error) else ""
    if raised_in.endswith("jax/_src/xla_bridge.py"):
        asked = [n for n in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME") if os.environ.get(n)]
        if not asked:
            return (
                f"JAX finds no device that it can use{said}; JAX_PLATFORMS=cpu uses the processor"
            )
        name = asked[0]
        return (
            f"{name} is {os.environ[name]!r}, which JAX cannot use here{said}; unset it or give cpu"
        )
    for sign, name in _ODD_SETTINGS.items():
        if (sign in type(error).__name__ or sign in str(error)) and os.environ.get(name):
            return f"{name} is {os.environ[name]!r}, which is not supported here; unset it"
    if raised_in.endswith("jax/_src/config.py"):
        for name, value in sorted(os.environ.items()):
            if name.startswith("JAX_") and name.lower() in str(error).lower():
                return f"{name} is {value!r}, which JAX does not take{said}; correct or unset it"
    return None


def _files(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        yield traceback.tb_frame.f_code.co_filename.replace(os.sep, "/")
        traceback = traceback.tb_next
