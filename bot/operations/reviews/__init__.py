"""Operations on review campaigns."""
