"""The phone's screen, in Textual; the only place where that library is imported. It drives the same ceremonies as the command line."""
