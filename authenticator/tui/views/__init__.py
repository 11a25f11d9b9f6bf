"""What the phone shows, one view a file; each is opened on the stage inside the phone's frame."""
