"""The report of a run: one HTML file that opens offline, and its figures as files of their own."""
