"""Files: shards, the manifest, the journal and the lock of a data set. No physics in here."""
