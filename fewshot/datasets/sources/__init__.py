"""Where pictures come from: files in a folder, a zip read in place, arrays in memory."""
