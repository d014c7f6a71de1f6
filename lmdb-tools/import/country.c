/*
 * country.c - names of countries in Online Retail, and their codes.
 */

#include "country.h"

static const struct {
    const char  *name;
    char         code[3];
} countries[] = {
    { "United Kingdom", "GB" }, /* first: nine rows of ten */
    { "Australia", "AU" }, { "Austria", "AT" }, { "Bahrain", "BH" },
    { "Belgium", "BE" }, { "Brazil", "BR" }, { "Canada", "CA" },
    { "Cyprus", "CY" }, { "Czech Republic", "CZ" }, { "Denmark", "DK" },
    { "EIRE", "IE" }, { "Finland", "FI" }, { "France", "FR" },
    { "Germany", "DE" }, { "Greece", "GR" }, { "Hong Kong", "HK" },
    { "Iceland", "IS" }, { "Israel", "IL" }, { "Italy", "IT" },
    { "Japan", "JP" }, { "Lebanon", "LB" }, { "Lithuania", "LT" },
    { "Malta", "MT" }, { "Netherlands", "NL" }, { "Norway", "NO" },
    { "Poland", "PL" }, { "Portugal", "PT" }, { "RSA", "ZA" },
    { "Saudi Arabia", "SA" }, { "Singapore", "SG" }, { "Spain", "ES" },
    { "Sweden", "SE" }, { "Switzerland", "CH" }, { "USA", "US" },
    { "United Arab Emirates", "AE" }
};

reco_str_t
country_code(reco_str_t name)
{
    size_t  i;

    for (i = 0; i < sizeof(countries) / sizeof(countries[0]); i++) {
        if (reco_str_equal(name, tool_str(countries[i].name))) {
            return tool_str(countries[i].code);
        }
    }

    return name;
}
