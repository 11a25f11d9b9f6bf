"""The rules of PSD2 Art. 97 and the RTS on SCA, one function each, over what `scene` shows; `table` lists them all."""
