"""The papers' data: fetched, unpacked, and written in the folder form."""
