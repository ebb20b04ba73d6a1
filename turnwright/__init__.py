"""What plugin authors import; everything else of Turnwright is its inside."""
