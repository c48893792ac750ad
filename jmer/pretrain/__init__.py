"""Parts of networks that learn from what is made up, before any data set is seen."""
