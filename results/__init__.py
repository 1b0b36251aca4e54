"""What came out: tables and their columns, the store, opening and querying a run, its picture."""
