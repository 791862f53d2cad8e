"""What ships in deploy/, in the hands of the programs that it is made for."""
