"""Which requirements the passed tests show."""
