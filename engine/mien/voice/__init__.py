"""From a voice to the mouth that speaks with it: the default listener, and what it is made of."""
