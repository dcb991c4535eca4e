"""From blended logits to maps: probabilities, classes, confidence, smoothing and sieving."""
