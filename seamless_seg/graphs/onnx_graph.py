"""Graphs: the nodes of an ONNX file and the files of its weights, which onnxruntime does not list.

They are read from protobuf's wire format, where each field has a number and a length, so that
weights are skipped and never read.
"""

from __future__ import annotations

import mmap
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ..boundary import boundary
from ..errors import SeamlessError

VARINT, LENGTH = 0, 2
"""Wire types of a field's value: a whole number, and bytes of a stated length."""

FIXED_LENGTHS = {1: 8, 5: 4}
"""Bytes of a value of each other wire type."""

MAX_CONSTANT_BYTES = 256
"""Bytes of a tensor that may hold axes; larger ones are weights."""

EXTERNAL = 1
"""Where the data of a tensor lie that is stored in another file."""

Span: TypeAlias = tuple[int, int]
"""First byte of a field, and the one after its last."""

Message: TypeAlias = "dict[int, list[Any]]"
"""Values of each field by its number: whole numbers and spans, in their order."""

Integers: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """A node of a graph."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: dict[str, Integers]
    """Attributes that are whole numbers, or a few of them."""
    inner: tuple[Graph, ...]
    """Graphs inside it: branches, or the body of a loop."""
    texts: dict[str, str] = field(default_factory=dict)
    """Attributes that are texts."""


@dataclass(frozen=True)
class Graph:
    """The nodes of a graph in the order in which they run."""

    nodes: tuple[Node, ...]
    constants: dict[str, Integers]
    """Tensors of a few whole numbers, by their names."""


class GraphError(SeamlessError):
    """A file that holds no graph, or a damaged one."""


def read_graph(path: Any) -> Graph:
    """Read the graph of an ONNX file.

    Raises
    ------
    GraphError
        Where the file holds no graph, or a damaged one.
    """
    with _reader_of(path) as reader:
        return reader.model()


def external_locations(path: Any) -> tuple[str, ...]:
    """Return the names of the files that hold weights of an ONNX file, each once.

    Weights are those of initializers, of attributes (as of a Constant), of graphs inside of nodes
    and of the model's functions. Names are as the file has them: relative to its folder.

    Raises
    ------
    GraphError
        As for ``read_graph``.
    """
    with _reader_of(path) as reader:
        return tuple(dict.fromkeys(reader.locations()))


@contextmanager
def reading_graph(path: Any) -> Iterator[None]:
    """Turn whatever reading a graph raises into a ``GraphError``."""
    with boundary(GraphError, f"the graph of {path} cannot be read"):
        yield


@contextmanager
def _reader_of(path: Any) -> Iterator[_Reader]:
    with (
        reading_graph(path),
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        yield _Reader(data)


def with_output(model: bytes, name: str) -> bytes:
    """Return a serialized model whose graph has a tensor of its own as one more output.

    Protobuf merges messages that are written one after the other, and a field that repeats grows.
    So a model with nothing but that output is appended: ``ModelProto.graph`` is its field 7,
    ``GraphProto.output`` field 12, and ``ValueInfoProto.name`` field 1. Runtimes infer its type.
    """
    return model + _field(7, _field(12, _field(1, name.encode())))


def _field(number: int, value: bytes) -> bytes:
    return _as_varint(number << 3 | LENGTH) + _as_varint(len(value)) + value


def _as_varint(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


class _Reader:
    """Reads ONNX's messages; subscripts are the numbers of their fields in ``onnx.proto``."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data

    def model(self) -> Graph:
        return self._graph(self._message(self._message((0, len(self._data)))[7][0]))

    def locations(self) -> Iterator[str]:
        """Yield the location of every tensor that is stored in another file."""
        model = self._message((0, len(self._data)))
        yield from self._locations_of_graph(self._message(model[7][0]))
        for function in map(self._message, model[25]):
            yield from self._locations_of_nodes(function[7])

    def _locations_of_graph(self, message: Message) -> Iterator[str]:
        tensors = [*message[5], *self._parts_of_sparse(message[15])]
        yield from self._locations_of_tensors(tensors)
        yield from self._locations_of_nodes(message[1])

    def _locations_of_nodes(self, nodes: list[Span]) -> Iterator[str]:
        for attribute in (self._message(own) for node in nodes for own in self._message(node)[5]):
            sparse = self._parts_of_sparse(attribute[22] + attribute[23])
            yield from self._locations_of_tensors([*attribute[5], *attribute[10], *sparse])
            for graph in attribute[6] + attribute[11]:
                yield from self._locations_of_graph(self._message(graph))

    def _parts_of_sparse(self, tensors: list[Span]) -> Iterator[Span]:
        """Yield the tensors of values and of indices of sparse tensors."""
        for message in map(self._message, tensors):
            yield from message[1] + message[2]

    def _locations_of_tensors(self, tensors: list[Span]) -> Iterator[str]:
        for tensor in map(self._message, tensors):
            if tensor[14] != [EXTERNAL]:
                continue
            for entry in map(self._message, tensor[13]):
                if self._text(entry[1][0]) == "location":
                    yield self._text(entry[2][0])

    def _graph(self, message: Message) -> Graph:
        nodes = tuple(self._node(self._message(own)) for own in message[1])
        small = (self._message(own) for own in message[5] if own[1] - own[0] <= MAX_CONSTANT_BYTES)
        constants = {self._text(own[8][0]): self._tensor(own) for own in small}
        for node in nodes:
            if node.kind == "Constant" and node.integers:
                constants[node.outputs[0]] = next(iter(node.integers.values()))
        return Graph(nodes, constants)

    def _node(self, message: Message) -> Node:
        integers, inner = {}, []
        texts: dict[str, str] = {}
        for attribute in (self._message(own) for own in message[5]):
            texts |= {self._text(attribute[1][0]): self._text(own) for own in attribute[4]}
            inner += [self._graph(self._message(own)) for own in attribute[6] + attribute[11]]
            small = [own for own in attribute[5] if own[1] - own[0] <= MAX_CONSTANT_BYTES]
            tensors = (self._tensor(self._message(own)) for own in small)
            numbers = self._integers(attribute[3] + attribute[8]) or next(tensors, ())
            if numbers:
                integers[self._text(attribute[1][0])] = numbers
        inputs, outputs = (tuple(map(self._text, message[number])) for number in (1, 2))
        return Node(self._text(message[4][0]), inputs, outputs, integers, tuple(inner), texts)

    def _tensor(self, message: Message) -> Integers:
        """Return the whole numbers of a tensor; none where it is of another type."""
        if message[2] != [7]:  # int64
            return ()
        raw = b"".join(self._data[first:last] for first, last in message[9])
        stored = (raw[at : at + 8] for at in range(0, len(raw), 8))
        numbers = tuple(int.from_bytes(own, "little", signed=True) for own in stored)
        return numbers or self._integers(message[7])

    def _integers(self, values: list[Any]) -> Integers:
        """Return whole numbers with their signs, written packed or one by one."""
        each = (own for value in values for own in self._unpacked(value))
        return tuple(own - 2**64 if own >= 2**63 else own for own in each)

    def _unpacked(self, value: Span | int) -> Iterator[int]:
        if isinstance(value, int):
            yield value
            return
        at, end = value
        while at < end:
            own, at = self._varint(at)
            yield own

    def _text(self, span: Span) -> str:
        return str(self._data[slice(*span)], "utf-8")

    def _message(self, span: Span) -> Message:
        at, end = span
        found: Message = defaultdict(list)
        while at < end:
            key, at = self._varint(at)
            value, at = self._value(key & 7, at)
            if at > end:
                raise ValueError("a field is longer than its message")
            found[key >> 3].append(value)
        return found

    def _value(self, wire_type: int, at: int) -> tuple[Span | int, int]:
        if wire_type == VARINT:
            return self._varint(at)
        length = FIXED_LENGTHS.get(wire_type)
        if wire_type == LENGTH:
            length, at = self._varint(at)
        if length is None:
            raise ValueError(f"a field has the unknown wire type {wire_type}")
        return (at, at + length), at + length

    def _varint(self, at: int) -> tuple[int, int]:
        """Return a whole number, of 7 bits a byte from the lowest on, and the position after it."""
        number = 0
        for shift in range(0, 70, 7):
            byte = self._data[at]
            at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number, at
        raise ValueError("a number is too long")
