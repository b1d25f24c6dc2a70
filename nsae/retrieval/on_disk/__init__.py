"""An index as a folder of files, which is replaced whole or not at all."""
