"""What simulated rooms are made of: written lines and drawn scenes through the real encoders."""
