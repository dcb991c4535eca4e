"""Files that are given as models and are none: each with the bytes by which it is told."""

from __future__ import annotations

import io
import json
import struct
import zipfile

TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
MODULE = b"\x80\x02ctorch.nn.modules.conv\nConv2d\nX\x0b\0\0\0_parametersX\x08\0\0\0_modules."
WEIGHTS = b"\x80\x02ccollections\nOrderedDict\nX\x0b\x00\x00\x00conv.weightctorch._utils\n_rebuild."
CHECKPOINT = b"\x80\x02}X\x0a\x00\x00\x00state_dictX\x05\x00\x00\x00epoch."


def zipped(**files):
    """The bytes of a ZIP file; in names of files, __ stands for a slash and _ for a dot."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return stream.getvalue()


def safetensors():
    """One weight of one number."""
    entry = {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    header = json.dumps(entry).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


FILES = {
    "git-lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "web page": b"\n<!DOCTYPE html>\n<html><body>404</body></html>",
    "empty file": b"",
    "PyTorch module": zipped(archive__data_pkl=MODULE, archive__version="3"),
    "PyTorch weights": zipped(best__data_pkl=WEIGHTS, best__version="3"),
    "TorchScript module": zipped(net__data_pkl=MODULE, net__constants_pkl=b""),
    "Python pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.",
    "safetensors file": safetensors(),
    "Keras model": zipped(model_weights_h5=b"", config_json=b"{}"),
    "HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(90),
    "TensorFlow Lite": b"\x1c\0\0\0TFL3" + bytes(90),
    "TensorFlow graph": b"\n\x16\n\x05input\x12\x0bPlaceholder" + bytes(9),
    "graph of a TensorFlow SavedModel": b"\x08\x01\x12\x20\x0a\x05input\x12\x0bPlaceholder",
    "ZIP file with net.onnx": zipped(net_onnx=b"1"),
    "packed archive": b"\x1f\x8b\x08\0" + bytes(90),
    "TIFF image": b"II*\0\x08\0\0\0" + bytes(90),
    "PNG image": b"\x89PNG\r\n\x1a\n" + bytes(90),
}
"""Contents by what a message calls them."""

LEGACY = {
    "PyTorch module": TORCH_MAGIC + MODULE,
    "PyTorch weights": TORCH_MAGIC + WEIGHTS,
}
"""What torch.save wrote before version 1.6."""
