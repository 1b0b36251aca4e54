"""Questions to a run that take more than a line of SQL, each answered with its error."""
