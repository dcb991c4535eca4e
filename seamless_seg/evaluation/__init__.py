"""How near tiles come to the model on the whole image, and whether seams show."""
