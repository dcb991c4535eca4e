"""What the graph of an ONNX model says of its receptive field, before any pixel is run."""
