"""Sessions: ONNX files opened in onnxruntime, where and with how many threads they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ModelError, OptionError, SeamlessError
from .layout import to_tensor

MOST_THREADS = 1024
"""Beyond some thousands of threads onnxruntime does not come back."""

FALLBACKS = {"tensorrt": ("cuda",)}
"""Providers that take what another leaves, before the CPU does."""


class OnnxFile:
    """Any ONNX file in onnxruntime: what it takes, gives and says of itself.

    Parameters
    ----------
    path : str or path-like
        The file.
    provider : str
        ``cpu``, ``cuda``, ``tensorrt``, ...: an execution provider of onnxruntime.
    threads : int, optional
        Threads of one run; onnxruntime's choice where None.

    Raises
    ------
    OptionError
        Where the provider is not there.
    ModelError
        Where the file is not a model.
    """

    def __init__(self, path: Any, provider: str = "cpu", threads: int | None = None) -> None:
        self.name = str(path)
        self.provider = provider.lower()
        self.threads = threads
        self.session = _open_session(Path(path), provider, threads)
        self.inputs = [to_tensor(node) for node in self.session.get_inputs()]
        self.outputs = [to_tensor(node) for node in self.session.get_outputs()]
        self.properties: dict[str, str] = self.session.get_modelmeta().custom_metadata_map

    def reopen(self, threads: int) -> None:
        """Load the model anew for another number of threads; never is it in memory twice."""
        del self.session
        self.session = _open_session(Path(self.name), self.provider, threads)

    def beside(self, graph: bytes) -> Any:
        """A session of another graph where this one runs."""
        return _start_session(graph, self.provider, self.threads)


def providers() -> dict[str, str]:
    """Execution providers that are there, by their short names."""
    import onnxruntime

    names = onnxruntime.get_available_providers()
    # Azure's runs models elsewhere, and those that it is given here on the CPU without a word.
    return {
        name.removesuffix("ExecutionProvider").lower(): name
        for name in names
        if name != "AzureExecutionProvider"
    }


def _open_session(path: Path, provider: str, threads: int | None) -> Any:
    there = providers()
    if provider.lower() not in there:
        raise OptionError(f"provider {provider!r} is not there: choose one of {', '.join(there)}")
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not a model file")
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file")
    try:
        return _start_session(path, provider.lower(), threads)
    except SeamlessError:
        raise
    except Exception as error:
        reason = first_line(error)
        raise ModelError(f"{path} is not a model that onnxruntime can load: {reason}") from error


def _start_session(graph: Path | bytes, provider: str, threads: int | None) -> Any:
    import onnxruntime

    there = providers()
    options = onnxruntime.SessionOptions()
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # what matters is raised, and said once
    onnxruntime.set_default_logger_severity(4)
    if threads is not None:
        if not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
            raise OptionError(
                f"threads must be a whole number from 1 to {MOST_THREADS}, not {threads!r}"
            )
        options.intra_op_num_threads = threads
    chain = [there[name] for name in (provider, *FALLBACKS.get(provider, ())) if name in there]
    session = onnxruntime.InferenceSession(graph, options, chain)
    if there[provider] not in session.get_providers():
        raise OptionError(f"provider {provider!r} is installed but could not be started here")
    return session


def first_line(error: Exception) -> str:
    """What an exception says, as much of it as goes into one sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
