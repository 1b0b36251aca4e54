"""What came out of a calibration: tables, account, report."""
