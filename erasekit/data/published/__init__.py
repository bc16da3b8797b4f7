"""Published data sets: downloaded, unpacked, and written as folders of pairs."""
