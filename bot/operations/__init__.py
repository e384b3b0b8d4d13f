"""What the product does: one verb a file, one public function of the same name. `ls` is the feature list."""
