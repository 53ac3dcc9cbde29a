"""Motion that the engine makes by itself: the idle face, the demo performance, and what they are made of."""
