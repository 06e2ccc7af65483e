#pragma once  // all of it is in emulator.h
