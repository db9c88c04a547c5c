-- Exact arithmetic of ratios, percentages and values. The runner creates these macros before any table.
--
-- Everything stays integer: `/` and `avg` make a DOUBLE of a DECIMAL, `sum` of DECIMAL(38, 0) passes 38 digits in
-- silence, and the product of two amounts needs more than the 38 digits there are.

-- The sum of amounts, or an error when it has more than 38 digits. Null over no rows, as with sum.
create macro exact_sum(amount) as sum(amount::hugeint)::decimal(38, 0);

-- 10 to the power of an integer from 0 to 38, as UHUGEINT (`**` is a DOUBLE).
create macro power_of_ten(exponent) as rpad('1', exponent::integer + 1, '0')::uhugeint;

-- numerator * scale = quotient * denominator + remainder, for numerator >= 0, denominator > 0 and scale >= 0 of up to
-- 38 digits each. Goes through the bits of the scale from the highest (Horner's rule) and keeps every intermediate
-- value below 3 * 10^38 < 2^128, so it is exact wherever the quotient itself fits; where it does not, it is an error.
create macro scaled_division(numerator, denominator, scale) as list_reduce(
    list_transform(
        range(126, -1, -1),
        lambda position: {
            'quotient': (scale::uhugeint >> position::uhugeint) & 1::uhugeint,
            'remainder': 0::uhugeint
        }
    ),
    lambda state, bit: {
        'quotient': 2::uhugeint * state.quotient
        + bit.quotient * (numerator::uhugeint // denominator::uhugeint)
        + (
            2::uhugeint * state.remainder
            + bit.quotient * (numerator::uhugeint % denominator::uhugeint)
        ) // denominator::uhugeint,
        'remainder': (
            2::uhugeint * state.remainder
            + bit.quotient * (numerator::uhugeint % denominator::uhugeint)
        ) % denominator::uhugeint
    },
    {'quotient': 0::uhugeint, 'remainder': 0::uhugeint}
);

-- numerator / denominator rounded down to 8 decimals; null when the denominator is zero or negative. The numerator
-- (reserves) is never negative: a negative one is an error.
create macro floor_ratio(numerator, denominator) as case
    when denominator > 0
        then scaled_division(numerator, denominator, 100000000).quotient::decimal(38, 0) * 0.00000001::decimal(8, 8)
end;

-- The quotient of a scaled division rounded half up.
create macro rounded_half_up(division, denominator) as (
    division.quotient
    -- remainder >= denominator - remainder, because twice the remainder might not fit.
    + (division.remainder >= denominator::uhugeint - division.remainder)::integer::uhugeint
)::decimal(38, 0);

-- 100 * change / previous rounded half away from zero to 8 decimals; null when previous is not positive or either is
-- null. It divides by the previous balance.
create macro percent_change(change, previous) as case
    when previous > 0
        then
            sign(change)::decimal(1, 0)
            * rounded_half_up(scaled_division(abs(change), previous, 10000000000), previous)
            * 0.00000001::decimal(8, 8)
end;

-- A price of DECIMAL(38, 8) as an integer of 10^-8 USD, without going through a product that might round.
create macro price_units(price) as replace(price::decimal(38, 8)::varchar, '.', '')::hugeint;

-- The value of an amount of base units at a price in USD per whole unit, rounded half away from zero to cents.
create macro value_usd(amount, decimals, price) as
sign(amount)::decimal(1, 0)
* rounded_half_up(
    scaled_division(abs(amount), power_of_ten(decimals + 6), price_units(price)),
    power_of_ten(decimals + 6)
)
* 0.01::decimal(2, 2);

-- A sum of roundings, each an integer of 10^-18 base units, in base units. Null over no rows, as with sum.
create macro exact_rounding(rounding) as sum(rounding)::decimal(38, 0) * 0.000000000000000001::decimal(18, 18);

-- Base units as text of whole units, all decimals shown: -1234567 with 6 decimals is -1.234567.
create macro whole_units(amount, decimals) as
case when amount < 0 then '-' else '' end
|| (abs(amount)::hugeint // power_of_ten(decimals)::hugeint)::varchar
|| case
    when decimals > 0
        then '.' || lpad((abs(amount)::hugeint % power_of_ten(decimals)::hugeint)::varchar, decimals::integer, '0')
    else ''
end;
