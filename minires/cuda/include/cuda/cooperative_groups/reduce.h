#pragma once  // reduce, plus, less and greater are there already
#include "../cooperative_groups.h"
