-- The treatments of negative balances differ by exactly the rows they leave out, and no part exceeds its whole.
with left_out as (
    select
        liabilities.asset,
        exact_sum(liabilities.amount) as amount
    from inputs.liabilities as liabilities
    inner join negative_equity_users as excluded on liabilities.user_key = excluded.user_key
    group by liabilities.asset
),

treatments as (
    select
        ratios.asset,
        ratios.reserves,
        ratios.reserves_encumbered,
        ratios.surplus,
        ratios.liabilities_gross,
        ratios.liabilities_net,
        ratios.liabilities_netted_by_user,
        coalesce(totals.negative, 0::decimal(38, 0)) as negative_rows,
        coalesce(left_out.amount, 0::decimal(38, 0)) as rows_of_negative_users
    from reserve_ratios as ratios
    left join liabilities_by_asset as totals on ratios.asset = totals.asset
    left join left_out on ratios.asset = left_out.asset
)

select *
from treatments
where
    liabilities_net <> liabilities_gross + negative_rows
    or liabilities_net <> liabilities_netted_by_user + rows_of_negative_users
    or liabilities_net > liabilities_gross
    or liabilities_netted_by_user > liabilities_gross
    or liabilities_gross < 0
    or reserves_encumbered > reserves
    or reserves_encumbered < 0
    or surplus <> reserves - liabilities_gross
