"""What is measured and proven of a model's receptive field, its stride and its rounding."""
