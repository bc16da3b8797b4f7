"""Read and check your own folder of pictures and captions, and select from it."""
