"""Any model behind one Protocol: ONNX files, functions, ensembles, and their receptive field."""
