"""HOW one path unfolds: arrays in, arrays out; no input, no output, no clock."""
