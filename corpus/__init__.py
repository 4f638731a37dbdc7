"""Files of training rows: read line by line, counted, filtered, compressed, shown."""
