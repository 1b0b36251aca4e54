"""What it costs: every figure beside a baseline that is measured in the same run."""
