"""The collector: takes the journals of a fleet, checks each chain as it arrives, and fills one store for all."""
