"""Sessions: ONNX files in onnxruntime, with the provider and the threads that run them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..boundary import boundary
from ..errors import ModelError, OptionError, SeamlessError
from ..foreign_files import identify
from ..graphs.onnx_graph import with_output
from ..system import cores
from .active_runs import interruptible
from .files import check_are_regular, weight_files
from .runtime_errors import reason_of
from .signature import Tensor, to_tensor

MAX_THREADS = 1024
"""Threads of a session at most: with some thousands onnxruntime does not return."""

EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"
"""onnxruntime's name of the setting of the folder of weights outside the file."""

FALLBACKS = {"tensorrt": ("cuda",)}
"""Providers that run the nodes that another does not support, before the CPU does."""


class OnnxFile:
    """An ONNX file in onnxruntime: its inputs, outputs and properties, and its session.

    Parameters
    ----------
    path : str or path-like
        The file.
    provider : str
        Execution provider of onnxruntime: ``cpu``, ``cuda``, ``tensorrt``, ...
    threads : int, optional
        Threads of one run; onnxruntime's choice where None.

    Raises
    ------
    OptionError
        Where the provider is not available, or the number of threads is no such number.
    ModelError
        Where the file is not a model.
    """

    def __init__(self, path: Any, provider: str = "cpu", threads: int | None = None) -> None:
        check_are_regular(path)
        self.name = str(path)
        self.provider = provider.lower()
        self.threads = threads
        self._more_output: str | None = None
        self._graph: bytes | None = None
        with boundary(ModelError, f"{path} is not a model that onnxruntime can load"):
            self.session = _open_session(Path(path), provider, threads)
            self.inputs = [to_tensor(node) for node in self.session.get_inputs()]
            self.outputs = [to_tensor(node) for node in self.session.get_outputs()]
            self.properties: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        self._session_threads = threads or cores()
        self._holds_memory = False

    def run(
        self, image: str, batch: npt.NDArray[Any], logits: str, *, keep_memory: bool = True
    ) -> npt.NDArray[Any]:
        """Run the graph on a batch.

        Parameters
        ----------
        image : str
            Name of the input.
        batch : array
            The input, as the graph takes it.
        logits : str
            Name of the output.
        keep_memory : bool
            Keep what the run allocates for the next, which is faster; False for a trial run.
        """
        options = runtime().RunOptions()
        if keep_memory:
            self._holds_memory = True
        else:  # give back what onnxruntime allocates for it
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        with interruptible(options):
            (array,) = self.session.run([logits], {image: batch}, options)
        return np.asarray(array)

    def add_output(self, name: str) -> Tensor | None:
        """Open the graph with a tensor inside it as one more output, the last of ``outputs``.

        Returns
        -------
        Tensor or None
            None where onnxruntime cannot load the graph so; the file is as it was then.
        """
        del self.session
        try:
            self.session = _open_session(Path(self.name), self.provider, self.threads, name)
        except ModelError:
            self.session = _open_session(Path(self.name), self.provider, self.threads)
            return None
        self._more_output = name
        self.outputs = [to_tensor(node) for node in self.session.get_outputs()]
        return self.outputs[-1]

    @property
    def other_graph(self) -> bytes | None:
        """The graph that runs in place of the file's; None for the file's own."""
        return self._graph

    def reopened(self) -> OnnxFile:
        """Return the same file in another session, with the same outputs."""
        other = OnnxFile(self.name, self.provider, self.threads)
        if self._more_output is not None:
            other.add_output(self._more_output)
        return other

    def open_graph(self, graph: bytes, on_all_threads: bool = False) -> None:
        """Run another graph of the file's weights from here on.

        The model is never in memory twice.

        Parameters
        ----------
        graph : bytes
            The graph, which refers to weights outside as the file does.
        on_all_threads : bool
            Run on as many threads as there may be, whatever ``set_threads`` has set for others.
        """
        del self.session
        self._graph, self._holds_memory = graph, False
        threads = (self.threads or cores()) if on_all_threads else self._session_threads
        self.session = _open_session(Path(self.name), self.provider, threads, graph=graph)

    def set_threads(self, threads: int) -> None:
        """Open a session for another number of threads, or one that holds no memory of old tiles.

        The model is never in memory twice.
        """
        if threads == self._session_threads and not self._holds_memory:
            return
        self._session_threads, self._holds_memory = threads, False
        del self.session
        path = Path(self.name)
        more = None if self._graph else self._more_output  # other graphs have it already
        self.session = _open_session(path, self.provider, threads, more, self._graph)

    def session_of(self, graph: bytes) -> Any:
        """Open a session of another graph with the same provider and threads."""
        return _start_session(graph, self.provider, self.threads)


def runtime() -> Any:
    """Return onnxruntime with its telemetry switched off.

    Since release 1.29 it reports each session to Microsoft, on Linux too, and keeps a database and
    a device's number in the user's cache folder from the moment it is imported. The variable
    prevents that; the call is for a program that has imported onnxruntime itself.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def providers() -> dict[str, str]:
    """Return the names of the available execution providers by their short names."""
    names = runtime().get_available_providers()
    # Azure's provider runs models elsewhere, and local ones silently on the CPU.
    return {
        name.removesuffix("ExecutionProvider").lower(): name
        for name in names
        if name != "AzureExecutionProvider"
    }


def _open_session(
    path: Path,
    provider: str,
    threads: int | None,
    more_output: str | None = None,
    graph: bytes | None = None,
) -> Any:
    available = providers()
    if provider.lower() not in available:
        raise OptionError(_unavailable(provider, available))
    if path.is_dir():
        raise _unloadable(path, IsADirectoryError("a folder"))
    if not path.is_file():
        if found := re.match(r"([a-z0-9]{2,}):/(.*)", str(path)):  # a path has no double slash
            address = f"{found[1]}://{found[2]}"
            raise ModelError(f"{address} is an address, not a file: download the model first")
        several = ": give one model" if "," in str(path) else ""
        raise ModelError(f"{path}: there is no such model file{several}")
    try:
        if graph is None and more_output is None:
            return _start_session(path, provider.lower(), threads)
        graph = path.read_bytes() if graph is None else graph
        if more_output is not None:
            graph = with_output(graph, more_output)
        return _start_session(graph, provider.lower(), threads, path.parent)
    except SeamlessError:
        raise
    except Exception as error:
        raise _unloadable(path, error) from error


def _unloadable(path: Path, error: Exception) -> ModelError:
    """Return the error for a file or folder that onnxruntime cannot load."""
    found = identify(path)
    if found is not None and found.advice:
        return ModelError(f"{path} is {found.what}, not an ONNX model: {found.advice}", found.code)
    if missing := next((file for file in weight_files(path) if not file.is_file()), None):
        return ModelError(
            f"{missing}: there is no such file, and {path} keeps weights in it: put it there, or "
            f"export the model into one file"
        )
    return ModelError(f"{path} is not a model that onnxruntime can load: {reason_of(error)}")


def _unavailable(provider: str, available: Collection[str]) -> str:
    meant = provider.lower().removesuffix("executionprovider")
    meant = {"gpu": "cuda"}.get(meant, meant)
    if meant in available:
        return f'provider {provider!r} is unknown: write provider="{meant}"'
    is_gpu = provider.lower().startswith(("cuda", "gpu", "tensorrt"))
    install = "install seamless-seg[gpu] in place of seamless-seg[cpu]"
    then = ' and give provider="cuda"' if meant != provider.lower() else ""
    advice = f"{install}{then}, or " if is_gpu else ""
    return (
        f"provider {provider!r} is not available in this onnxruntime: {advice}choose one of "
        f"{', '.join(available)}"
    )


def _start_session(
    graph: Path | bytes, provider: str, threads: int | None, folder: Path | None = None
) -> Any:
    """Start a session; ``folder`` holds the weights' files of a graph that is given as bytes."""
    onnxruntime, available = runtime(), providers()
    options = onnxruntime.SessionOptions()
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # errors are raised, and must not be printed besides
    onnxruntime.set_default_logger_severity(4)
    if threads is not None:
        if not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
            raise OptionError(
                f"threads must be a whole number from 1 to {MAX_THREADS}, not {threads!r}"
            )
        options.intra_op_num_threads = threads
    elif cores() < (os.cpu_count() or 1):  # which is what onnxruntime goes by
        options.intra_op_num_threads = cores()
    if folder is not None:
        options.add_session_config_entry(EXTERNAL_FOLDER, str(folder.resolve()))
    chain = [
        available[name] for name in (provider, *FALLBACKS.get(provider, ())) if name in available
    ]
    session = onnxruntime.InferenceSession(graph, options, chain)
    if available[provider] not in session.get_providers():
        raise OptionError(
            f"provider {provider!r} is installed but could not be started here: choose another, or "
            f"check its drivers"
        )
    return session
