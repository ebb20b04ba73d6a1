"""What follows: processors reduce a stream to state and react to it with decisions."""
