"""The material of simulated rooms: written lines and drawn scenes, encoded by the real encoders."""
