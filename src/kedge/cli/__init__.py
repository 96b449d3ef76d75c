"""Words in, words out: the command line, the reports, the progress. Nothing is decided here."""
