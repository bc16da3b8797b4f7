"""Your own folder of pictures and captions: read, checked, selected from."""
