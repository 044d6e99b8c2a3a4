"""Small servers that speak the engines' own wire protocols on one machine; they import nothing else of cdl."""
