/*
 * country.h - the countries of Online Retail as ISO 3166-1 alpha-2 codes, so
 * that a record's country and that of an address (geo.country) are one word.
 */

#ifndef RECO_COUNTRY_H
#define RECO_COUNTRY_H

#include "tool.h"

/* The code of a country by the data set's name of it; any other name as it is:
 * those that are no country ("European Community", "Unspecified"), those of
 * more than one code ("Channel Islands"), those that the data set has not. */
reco_str_t country_code(reco_str_t name);

#endif /* RECO_COUNTRY_H */
